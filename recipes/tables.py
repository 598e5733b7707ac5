"""Figures of merit for a reader, in five digits, and tables for the screen."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def shown(value) -> str:
    """A figure of merit, or one for each latent layer, in five digits."""
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def draws_of(metrics: dict) -> str:
    """How many draws of each image its NLL took, or "exact"."""
    return metrics["nll"]["protocol"].split()[0].rstrip(",")


def dtype_of(metrics: dict) -> str:
    """The policy of the networks that its NLL was measured with, where it says one."""
    return metrics["nll"]["protocol"].partition(", networks in ")[2]


def shown_nll(metrics: dict) -> str:
    """The NLL of binary images or levels; a density says that it is one."""
    if "nll" not in metrics:
        return "-"
    kind = "" if "bits_per_dim" in metrics else ", a density"
    return f"{metrics['nll']['value']:.2f} [{draws_of(metrics)}]{kind}"


def table_of_recipes(texts: dict[str, str]) -> Table:
    """The first line of what each recipe says of itself."""
    table = Table(title="Recipes: python -m recipes train NAME")
    table.add_column("name", no_wrap=True)
    table.add_column("what it makes")
    for name, text in texts.items():
        table.add_row(name, text.splitlines()[0])
    return table


def table_of_entries(records: dict[str, dict]) -> Table:
    """What the pretrained entries are, by their names."""
    table = Table(title='Pretrained: zoo.load("NAME")')
    for column in ("name", "class", "data", "test NLL in nats [draws]", "parameters"):
        whole = column in ("name", "class", "parameters")
        table.add_column(escape(column), no_wrap=whole, overflow="fold")
    for name, record in records.items():
        table.add_row(
            name,
            record["class"],
            record.get("data", {}).get("source", "-"),
            shown_nll(record.get("metrics", {})),
            f"{record['parameters']:,}",
        )
    return table


def print_metrics(metrics: dict, title: str, console: Console) -> None:
    """One row per figure with its unit and protocol."""
    table = Table(title=title)
    for column in ("metric", "value", "unit", "protocol"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for name, figure in metrics.items():
        value = shown(figure["value"])
        table.add_row(name, value, figure["unit"], figure["protocol"])
    console.print(table)
