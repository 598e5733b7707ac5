"""Figures of merit for a reader: in five digits, as a table, on the results page."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
START, END = "<!-- entries: python -m recipes results -->", "<!-- end -->"
MNIST = {"name": "mnist", "binarise": True}
HIERARCHIES = {  # records of models with the same layers
    "recipes/results/hierarchical_vae_mnist": "plain, 20 epochs",
    "recipes/results/hierarchical_vae_bn_mnist": "plain, batch norm, warm-up",
    "recipes/results/ladder_vae_mnist_20_epochs": "ladder, 20 epochs",
    "saved_models/ladder_vae_mnist": "ladder, 1200 epochs",
}


def shown(value) -> str:
    """A figure of merit, or one for each latent layer, in five digits."""
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def print_metrics(metrics: dict, title: str, console: Console) -> None:
    """One row per figure with its unit and protocol."""
    table = Table(title=title)
    for column in ("metric", "value", "unit", "protocol"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for name, figure in metrics.items():
        value = shown(figure["value"])
        table.add_row(name, value, figure["unit"], figure["protocol"])
    console.print(table)


def update_results() -> Path:
    """Writes the table of the entries on binarised MNIST anew into docs/results.md."""
    page = ROOT / "docs" / "results.md"
    before, rest = page.read_text().split(START)
    page.write_text(f"{before}{START}\n{results()}\n{END}{rest.split(END)[1]}")
    return page


def draw_layer_rates() -> Path:
    """Draws the recorded rates of the hierarchies, layer by layer."""
    from recipes import figures  # which starts TensorFlow

    rates = {}
    for folder, name in HIERARCHIES.items():
        record = json.loads((ROOT / folder / "metadata.json").read_text())
        rates[name] = record["metrics"]["layer_rates"]["value"]
    file = ROOT / "recipes" / "results" / "layer_rates" / "layer_rates.png"
    file.parent.mkdir(exist_ok=True)
    figures.save(figures.layer_rates(rates), file)
    return file


def results() -> str:
    """Markdown: best NLL first, entries linked, numbers as they were recorded."""
    rows = []
    for file in ROOT.glob("saved_models/*/metadata.json"):
        rows.append(
            (f"[`{file.parent.name}`](../saved_models/{file.parent.name})", file)
        )
    for file in ROOT.glob("recipes/results/*/metadata.json"):
        rows.append((f"`{file.parent.name}`", file))
    lines = []
    for name, file in rows:
        record = json.loads(file.read_text())
        metrics = record["metrics"]
        comparable = not record["data"].get("given")  # other likelihoods are p(x|given)
        if comparable and "nll" in metrics and MNIST.items() <= record["data"].items():
            nll = metrics["nll"]
            samples = nll["protocol"].split()[0]
            rates = [round(rate, 2) + 0.0 for rate in metrics["layer_rates"]["value"]]
            rates = ", ".join(f"{rate:.2f}" for rate in rates)
            parameters = record["parameters"] / 1e6
            lines.append(
                f"| {name} | {record['epochs']} | {-metrics['elbo']['value']:.2f} "
                f"| **{nll['value']:.2f}** [{samples}] | {rates} | {parameters:.2f} M |"
            )
    lines.sort(key=lambda line: float(line.split("**")[1]))
    head = (
        "| entry | epochs | -ELBO | NLL [samples] | rate of each layer | parameters |"
    )
    return "\n".join([head, "|---" * 6 + "|", *lines])
