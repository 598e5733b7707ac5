"""Anomaly scores of two hierarchies: Fashion-MNIST is normal, MNIST is not, and back.

Both are binarised, and the models see one of them alone. Does a score that looks at the
upper latents tell the other better than the plain bound? The area under the ROC curve
(AUROC) is 1 for a score that is higher for every image of the other than for any of its
own, and 0.5 for chance. Both data sets must be there: see `recipes.datasets`. A study:
it makes a table and a picture, no entry. Published for a BIVA of Fashion-MNIST, far
larger, against MNIST: 0.98 (Maaloe et al., 2019).
"""

import keras
import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

import zoo
from recipes import datasets
from recipes.runs import Run, evaluation_images, write_json

EPOCHS = 6
SHAPE, BATCH_SIZE = (28, 28, 1), 128
IMAGES = 2000  # of each test set
NUM_IMPORTANCE_SAMPLES = 50


def ladder(run: Run, steps: int) -> zoo.LadderVAE:
    return zoo.LadderVAE(
        zoo.networks.dense_encoder(SHAPE, (512, 512), "leaky_relu", batch_norm=True),
        zoo.networks.dense_decoder(
            32, SHAPE, (512, 512), "leaky_relu", batch_norm=True
        ),
        latent_dim=32,
        upper_dims=(16, 8),
        upper_units=(256, 128),
        objective=zoo.objectives.ELBO(zoo.schedules.Linear(0.0, 1.0, steps // 2)),
        seed=run.seed,
    )


def biva(run: Run, steps: int) -> zoo.BIVA:
    return zoo.BIVA(
        SHAPE,
        top_down_dims=(4, 8),
        bottom_up_dims=(4, 8),
        top_dim=16,
        objective=zoo.objectives.ELBO(free_bits=2.0),
        seed=run.seed,
    )


# How many of the lowest latents come from their priors: one layer, two layers.
MODELS = {"ladder": (ladder, (1, 2)), "BIVA": (biva, (2, 4))}


NAMES = {"fashion_mnist": "Fashion-MNIST", "mnist": "MNIST"}


def train(run: Run) -> None:
    data = {name: datasets.load(name) for name in NAMES}
    test = {n: evaluation_images(d.test[:IMAGES], True) for n, d in data.items()}
    results, scores = [], {}
    for normal, odd in (tuple(NAMES), tuple(NAMES)[::-1]):
        steps = run.epochs * datasets.steps_per_epoch(data[normal].train, BATCH_SIZE)
        for name, (make, ks) in MODELS.items():
            print(f"{name} of {NAMES[normal]}")
            model = fit(run, make(run, steps), data[normal])
            found = zip(*(scores_of(model, test[n], ks).items() for n in (normal, odd)))
            for (score, of_normal), (_, of_odd) in found:
                scores[f"{name} of {NAMES[normal]}", score] = of_normal, of_odd
                truth = np.repeat([0, 1], [len(of_normal), len(of_odd)])
                area = roc_auc_score(truth, np.concatenate([of_normal, of_odd]))
                row = {"model": name, "normal": normal, "score": score, "auroc": area}
                means = float(of_normal.mean()), float(of_odd.mean())
                results.append({**row, "means": means})
            write_json(run.folder / "results.json", results)
    folder = run.folder / "figures"
    folder.mkdir(exist_ok=True)
    draw(scores).savefig(folder / "scores.png")
    print_table(results)


def fit(run: Run, model: zoo.LatentVariableModel, data: datasets.Dataset):
    """The model after training, its batch or weight normalisation seen to."""
    steps = datasets.steps_per_epoch(data.train, BATCH_SIZE)
    batches = datasets.stream(data.train, BATCH_SIZE, seed=run.seed, binarise=True)
    if isinstance(model, zoo.BIVA):
        zoo.networks.initialise(model, next(iter(batches)))
    rate = keras.optimizers.schedules.CosineDecay(2e-3, run.epochs * steps, alpha=0.01)
    model.compile(keras.optimizers.Adamax(rate), skip_non_finite=True)
    model.fit(batches, steps_per_epoch=steps, epochs=run.epochs, verbose=2)
    if isinstance(model, zoo.LadderVAE):
        zoo.evaluation.refresh_batch_norm(model, batches.take(steps))
    return model


def scores_of(model, x: np.ndarray, ks: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Scores in nats, `[N]`, each the greater the less likely the image.

    The differences are `zoo.evaluation.likelihood_ratio`, of bounds already at hand.
    """

    def bound(k, samples=NUM_IMPORTANCE_SAMPLES):
        return zoo.evaluation.log_prob_above(
            model, x, k, num_importance_samples=samples, chunk=50
        )

    plain, above = bound(0), {k: bound(k) for k in ks}
    return {
        "-ELBO": -bound(0, samples=1),
        "NLL": -plain,
        **{f"-L^(>{k})": -above[k] for k in ks},
        **{f"L - L^(>{k})": plain - above[k] for k in ks},
    }


def draw(scores: dict) -> Figure:
    """Histograms of every score of both data sets: a row for each trained model."""
    rows = len({model for model, _ in scores})
    columns = len(scores) // rows
    figure = Figure((2.6 * columns, 2.4 * rows), dpi=150, layout="constrained")
    panels = np.ravel(figure.subplots(rows, columns))
    for axes, ((model, score), values) in zip(panels, scores.items()):
        edges = np.linspace(*np.percentile(np.concatenate(values), [1, 99]), 40)
        for label, value in zip(("its own", "the other"), values):
            axes.hist(value, edges, alpha=0.6, label=label)
        axes.set_title(f"{model}\n{score}", fontsize=9)
        axes.set(xlabel="nats", yticks=[])
    panels[0].legend(frameon=False, fontsize=7)
    return figure


def print_table(results: list[dict]) -> None:
    draws = f"{NUM_IMPORTANCE_SAMPLES} draws, -ELBO one"
    table = Table(title=f"Test images of both data sets, nats per image; {draws}")
    for column in ("model", "trained on", "score", "its own", "the other", "AUROC"):
        table.add_column(column)
    for row in results:
        means = (f"{mean:.1f}" for mean in row["means"])
        names = row["model"], NAMES[row["normal"]], row["score"]
        table.add_row(*names, *means, f"{row['auroc']:.3f}")
    Console().print(table)
