"""Scores of disentanglement: does each dimension of a code tell one factor alone?

All of them compare codes `[N, D]` with a table of the factors that made the images,
`[N, F]` of whole numbers; a factor's values are names, whose order does not count. They
are functions of these arrays: of one latent layer's means, see `zoo.evaluation.encode`.
"""

import numpy as np

from zoo import checks
from zoo.draws import ACTIVE

VOTES = 10_000, 5_000  # of the FactorVAE score: to learn from, and to judge by
IMAGES_OF_A_VOTE = 64
FOREST, SMALLEST_LEAF = 50, 0.01  # trees; share of the images


def disentanglement(
    codes: np.ndarray, factors: np.ndarray, *, seed: int = 0
) -> dict[str, float]:
    """Every score of this file by its name, from 0 to 1: the higher the better.

    They are `mig`, `factor_vae`, `dci_disentanglement`, `dci_completeness`,
    `dci_informativeness` and `sap`. Scores depend on how they are estimated: compare
    those of equal numbers of images, with the same factors. Take 10 000 images, as
    Locatello et al. do ("Challenging Common Assumptions in the Unsupervised Learning of
    Disentangled Representations", 2019, appendix).

    Args:
        codes: `[N, D]`, such as the means of q(z|x); D is two or more.
        factors: `[N, F]` whole numbers; F is two or more.
        seed: of the votes and of the trees.

    Raises:
        ValueError: if the tables are not as above, or a factor has one value alone.

    Example:
        (codes,) = zoo.evaluation.encode(vae, images)
        zoo.evaluation.disentanglement(codes, factors)
    """
    shares = dci(codes, factors, seed=seed)
    return {
        "mig": mig(codes, factors),
        "factor_vae": factor_vae_score(codes, factors, seed=seed),
        **{f"dci_{name}": value for name, value in shares.items()},
        "sap": sap(codes, factors, seed=seed),
    }


def mig(codes: np.ndarray, factors: np.ndarray, *, bins: int = 20) -> float:
    """Mutual information gap: how far one dimension is ahead of all others.

        MIG = 1/F sum_k (I(z_a; v_k) - I(z_b; v_k)) / H(v_k)

    where z_a and z_b know most and second most of factor v_k. Information, in nats, is
    that of histograms with `bins` of equal width from a dimension's lowest code to its
    highest: at most log(bins), be a factor's entropy larger.

    Args:
        codes, factors: as for `disentanglement`.
        bins: number of bins of each dimension.

    Raises:
        ValueError: as `disentanglement`, or if there is no bin.

    Reference: Chen et al., "Isolating Sources of Disentanglement", 2018, section 4.
    """
    from sklearn.metrics import mutual_info_score  # slow to import, as all of sklearn

    codes, factors = _checked(codes, factors)
    checks.at_least(1, bins=bins)
    edges = [np.histogram_bin_edges(z, bins)[1:-1] for z in codes.T]
    levels = [np.digitize(z, inner) for z, inner in zip(codes.T, edges)]
    shares = [
        [mutual_info_score(v, z) / mutual_info_score(v, v) for v in factors.T]
        for z in levels
    ]
    return _gap(np.array(shares))


def factor_vae_score(codes: np.ndarray, factors: np.ndarray, *, seed: int = 0) -> float:
    """How often the dimension that varies least tells which factor was held.

    A vote draws 64 images that share the value of one factor, which is drawn too. It
    goes from the dimension d for which

        Var(z_d of these images) / Var(z_d of all images)

    is smallest, to the held factor. Of 10 000 votes each dimension learns the factor
    that it most often has; the score is how often that is right in 5 000 others. Chance
    is 1/F. Dimensions that are not active, with a variance of 0.01 or less, have no
    vote; without an active one the score is 0.

    Args:
        codes, factors, seed: as for `disentanglement`.

    Raises:
        ValueError: as `disentanglement`.

    Reference: Kim & Mnih, "Disentangling by Factorising", 2018, section 4; the numbers
    are those of Locatello et al., 2019.
    """
    codes, factors = _checked(codes, factors)
    active = codes.var(axis=0) > ACTIVE
    if not active.any():
        return 0.0
    codes = codes[:, active] / codes[:, active].std(axis=0)
    rng = np.random.default_rng(seed)
    learned, judged = (_votes(codes, factors, count, rng) for count in VOTES)
    told = learned.argmax(axis=0)  # the factor of each dimension
    return float(judged[told, np.arange(len(told))].sum() / judged.sum())


def dci(codes: np.ndarray, factors: np.ndarray, *, seed: int = 0) -> dict[str, float]:
    """Disentanglement, completeness and informativeness.

    A random forest learns each factor from all dimensions, on half of the images. How
    much dimension d did for factor k is R_dk, the forest's impurity-based importance,
    which sums to 1 over d. Then

        disentanglement = sum_d rho_d (1 - H_F(R_d1, ..., R_dF))
        completeness    = 1/F sum_k (1 - H_D(R_1k, ..., R_Dk))

    with rho_d = sum_k R_dk / F, and entropies H_F and H_D of the shares, to the bases F
    and D; informativeness is the mean accuracy on the other half.

    A forest has 50 trees that see all dimensions at every split, so that a factor that
    one dimension tells needs no other, and leaves of 1 % of the images or more, as
    smaller ones learn noise by heart. Locatello et al. (2019) have gradient boosted
    trees, which take far longer where a factor has 40 values.

    Args:
        codes, factors, seed: as for `disentanglement`.

    Returns:
        The three by their names.

    Raises:
        ValueError: as `disentanglement`.

    Reference: Eastwood & Williams, "A Framework for the Quantitative Evaluation of
    Disentangled Representations", 2018, section 2.
    """
    from sklearn.ensemble import RandomForestClassifier

    codes, factors = _checked(codes, factors)
    order = np.random.default_rng(seed).permutation(len(codes))
    learned, judged = np.array_split(order, 2)
    importances, accuracies = [], []
    for values in factors.T:
        forest = RandomForestClassifier(
            FOREST, max_features=None, min_samples_leaf=SMALLEST_LEAF, random_state=seed
        )
        forest.fit(codes[learned], values[learned])
        importances.append(forest.feature_importances_)
        accuracies.append(forest.score(codes[judged], values[judged]))
    shares = np.transpose(importances) + 1e-11  # [D, F]; what nothing tells is even
    rho = shares.sum(axis=1) / shares.sum()
    return {
        "disentanglement": float(rho @ _purity(shares.T)),
        "completeness": float(np.mean(_purity(shares))),
        "informativeness": float(np.mean(accuracies)),
    }


def sap(codes: np.ndarray, factors: np.ndarray, *, seed: int = 0) -> float:
    """Separated attribute predictability: one dimension's lead as a classifier.

        SAP = 1/F sum_k (S_ak - S_bk)

    where S_dk is the balanced accuracy with which thresholds on dimension d alone tell
    the values of factor k, and a and b are the best and second best dimension. There
    are as many thresholds as values need, less one, placed by a decision tree on all
    images. Of codes that are the factors SAP is 1/F sum_k (1 - 1/n_k) with n_k values,
    as any other dimension is right by chance. All factors are treated as categorical.

    Args:
        codes, factors, seed: as for `disentanglement`.

    Raises:
        ValueError: as `disentanglement`.

    Reference: Kumar et al., "Variational Inference of Disentangled Latent Concepts from
    Unlabeled Observations", 2018, section 3.
    """
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.tree import DecisionTreeClassifier

    codes, factors = _checked(codes, factors)
    scores = np.empty((codes.shape[1], factors.shape[1]))
    for d, k in np.ndindex(scores.shape):
        z, v = codes[:, [d]], factors[:, k]
        leaves = len(np.unique(v))
        tree = DecisionTreeClassifier(
            max_leaf_nodes=leaves, class_weight="balanced", random_state=seed
        )
        scores[d, k] = balanced_accuracy_score(v, tree.fit(z, v).predict(z))
    return _gap(scores)


def _checked(codes, factors) -> tuple[np.ndarray, np.ndarray]:
    codes, factors = np.asarray(codes), np.asarray(factors)
    wanted = "`codes` must be numbers [N, D] of one layer, D two or more."
    good = codes.ndim == 2 and codes.shape[1] > 1 and codes.dtype.kind in "fiu"
    checks.require(good, wanted, f"shape={codes.shape}, dtype={codes.dtype}")
    checks.require(np.isfinite(codes).all(), "`codes` must be finite.", codes)
    wanted = (
        "`factors` must be whole numbers [N, F], a row for each code, F two or more."
    )
    good = factors.ndim == 2 and len(factors) == len(codes) and factors.shape[1] > 1
    received = f"shape={factors.shape}, dtype={factors.dtype}, {len(codes)} codes"
    checks.require(good and factors.dtype.kind in "iu", wanted, received)
    counts = [len(np.unique(values)) for values in factors.T]
    checks.require(min(counts) > 1, "Each factor must take two values or more.", counts)
    return np.float64(codes), factors


def _purity(shares: np.ndarray) -> np.ndarray:
    """One less the entropy of each column, to the base of its length."""
    shares = shares / shares.sum(axis=0)
    return 1 + (shares * np.log(shares)).sum(axis=0) / np.log(len(shares))


def _gap(scores: np.ndarray) -> float:
    """Mean over factors of the lead of the best dimension, of scores `[D, F]`."""
    second, best = np.sort(scores, axis=0)[-2:]
    return float(np.mean(best - second))


def _votes(codes, factors, count: int, rng) -> np.ndarray:
    """How often factor k was held when dimension d varied least, `[F, D]`."""
    votes = np.zeros((factors.shape[1], codes.shape[1]))
    held = rng.integers(factors.shape[1], size=count)
    for k, values in enumerate(factors.T):
        order = np.argsort(values)  # images of one value lie side by side
        _, starts, sizes = np.unique(
            values[order], return_index=True, return_counts=True
        )
        drawn = rng.integers(len(sizes), size=((held == k).sum(), 1))
        offsets = rng.integers(sizes[drawn], size=(len(drawn), IMAGES_OF_A_VOTE))
        images = order[starts[drawn] + offsets]
        least = codes[images].var(axis=1).argmin(axis=1)
        votes[k] = np.bincount(least, minlength=codes.shape[1])
    return votes
