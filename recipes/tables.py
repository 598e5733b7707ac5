"""Figures of merit for a reader: in five digits, as a table."""

from rich.console import Console
from rich.table import Table


def shown(value) -> str:
    """A figure of merit, or one for each latent layer, in five digits."""
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def draws_of(metrics: dict) -> str:
    """How many draws of each image its NLL took, or "exact"."""
    return metrics["nll"]["protocol"].split()[0].rstrip(",")


def print_metrics(metrics: dict, title: str, console: Console) -> None:
    """One row per figure with its unit and protocol."""
    table = Table(title=title)
    for column in ("metric", "value", "unit", "protocol"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for name, figure in metrics.items():
        value = shown(figure["value"])
        table.add_row(name, value, figure["unit"], figure["protocol"])
    console.print(table)
