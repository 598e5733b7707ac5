"""Scores of disentanglement on codes whose answers are known."""

import numpy as np
import pytest

from zoo import evaluation

SIZES = 3, 4, 5
FACTORS = np.tile(np.indices(SIZES).reshape(3, -1).T, (10, 1))  # [600, 3], all alike
SCALED = FACTORS / np.array(SIZES)
CHANCE = np.mean(1 / np.array(SIZES))


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(1).normal(size=SCALED.shape)


def perfect(noise):
    """A dimension for each factor, in another order and direction, and two of noise."""
    return np.concatenate([-SCALED[:, ::-1], noise[:, :2]], axis=1)


def test_codes_that_are_the_factors_are_perfect(noise):
    scores = evaluation.disentanglement(perfect(noise), FACTORS)
    # Noise tells a little of every factor in any table, but a factor's own dimension
    # tells all of it: its lead is what noise leaves.
    assert scores.pop("mig") == pytest.approx(1.0, abs=0.06)
    assert scores.pop("sap") == pytest.approx(1 - CHANCE, abs=0.1)
    # The forest may split at noise where a leaf would get too small: a few in 1e4.
    assert scores == pytest.approx(dict.fromkeys(scores, 1.0), abs=1e-3)
    assert len(scores) == 4


def test_the_factors_alone_have_the_scores_of_theory():
    scores = evaluation.disentanglement(SCALED, FACTORS)
    expected = dict.fromkeys(scores, 1.0) | {"sap": 1 - CHANCE}
    assert scores == pytest.approx(expected, abs=1e-6)  # of rounded sums


def test_noise_tells_nothing(noise):
    scores = evaluation.disentanglement(noise, FACTORS)
    # 600 images: what noise seems to tell is some hundredths.
    assert 0 <= scores["mig"] < 0.03
    assert 0 <= scores["sap"] < 0.05
    assert scores["factor_vae"] == pytest.approx(1 / 3, abs=0.08)
    assert scores["dci_disentanglement"] < 0.05
    assert scores["dci_completeness"] < 0.05
    assert scores["dci_informativeness"] == pytest.approx(CHANCE, abs=0.08)


def test_rotated_codes_tell_all_and_keep_nothing_apart():
    """Two factors of equal sizes, turned by an eighth: each dimension is of both."""
    factors = np.tile(np.indices((6, 6)).reshape(2, -1).T, (20, 1))
    first, second = (factors - 2.5).T
    codes = np.stack([first + second, first - second], axis=1)
    scores = evaluation.disentanglement(codes, factors)
    assert scores["mig"] == pytest.approx(0, abs=1e-6)  # by symmetry
    assert scores["sap"] == pytest.approx(0, abs=1e-6)
    # 5000 votes by chance: a standard error of 0.007.
    assert scores["factor_vae"] == pytest.approx(0.5, abs=0.03)
    # What a tree splits first is by chance, and it needs both dimensions.
    assert scores["dci_disentanglement"] < 0.05
    assert scores["dci_completeness"] < 0.05
    assert scores["dci_informativeness"] > 0.95


def test_a_factor_told_twice_is_not_complete():
    """Its two dimensions lead nobody, and share what the forest needs of them."""
    codes = np.stack([SCALED[:, 0], SCALED[:, 0], SCALED[:, 1]], axis=1)
    factors = FACTORS[:, :2]
    assert evaluation.mig(codes, factors) == pytest.approx(1 / 2)
    assert evaluation.sap(codes, factors) == pytest.approx((1 - 1 / 4) / 2)
    assert evaluation.factor_vae_score(codes, factors) == 1.0
    found = evaluation.dci(codes, factors)
    assert found["disentanglement"] == pytest.approx(1.0)
    # Two equal shares of three; which one a tree takes is by chance.
    expected = (1 - np.log(2) / np.log(3) + 1) / 2
    assert found["completeness"] == pytest.approx(expected, abs=0.03)


def test_mig_by_hand():
    """Dimension a tells a factor of two values, b half of it; c is constant.

    b is 1 for half of the images of value 1: its information is log 2 - 3/4 H(1/3).
    No dimension tells the other factor: its gap is 0.
    """
    v = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    other = np.array([0, 1, 0, 1, 0, 1, 0, 1])
    b = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    codes = np.stack([v, b, np.full(8, 7.0)], axis=1)
    entropy = -(np.log(1 / 3) / 3 + 2 * np.log(2 / 3) / 3)
    lead = 1 - (np.log(2) - 3 / 4 * entropy) / np.log(2)
    found = evaluation.mig(codes, np.stack([v, other], axis=1))
    assert found == pytest.approx(lead / 2, rel=1e-6)


def test_a_collapsed_dimension_has_no_vote(noise):
    """Its variance is 0 whatever is held, and would always be the least."""
    codes = np.concatenate([SCALED, np.zeros_like(noise)], axis=1)
    assert evaluation.factor_vae_score(codes, FACTORS) == 1.0
    assert evaluation.factor_vae_score(0 * codes, FACTORS) == 0.0


def test_codes_that_never_change_tell_nothing():
    scores = evaluation.disentanglement(np.zeros((600, 4)), FACTORS)
    informed = scores.pop("dci_informativeness")
    assert informed == pytest.approx(CHANCE, abs=0.08)  # the most frequent value
    assert scores == pytest.approx(dict.fromkeys(scores, 0.0), abs=1e-6)


@pytest.mark.parametrize("score", [evaluation.dci, evaluation.factor_vae_score])
def test_a_seed_repeats_a_score(score, noise):
    one, again, other = (
        score(noise[:100], FACTORS[:100], seed=seed) for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other


@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (SCALED[:, 0], FACTORS, r"codes.*Received: shape=\(600,\)"),
        ([SCALED], FACTORS, r"one layer.*Received: shape=\(1, 600, 3\)"),
        (SCALED[:, :1], FACTORS, r"D two or more.*shape=\(600, 1\)"),
        (SCALED * np.nan, FACTORS, "finite"),
        (SCALED, FACTORS[:-1], r"a row for each code.*shape=\(599, 3\)"),
        (SCALED, SCALED, "whole numbers.*dtype=float64"),
        (SCALED, FACTORS * [0, 1, 1], r"two values.*Received: \[1, 4, 5\]"),
    ],
)
def test_other_tables_are_refused(codes, factors, message):
    with pytest.raises(ValueError, match=message):
        evaluation.disentanglement(codes, factors)


def test_there_is_a_bin():
    with pytest.raises(ValueError, match="bins=0"):
        evaluation.mig(SCALED, FACTORS, bins=0)
