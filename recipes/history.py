"""The history of a training: its sums, and how an entry keeps it.

It is a list with a dict for each epoch: metrics, `seconds` and `cpu_seconds`.
"""

import json
from collections.abc import Sequence
from pathlib import Path

FILE = "history.json"
DRAWN = "elbo", "iw_elbo", "rate", "distortion", "log_prob"  # nats, by epoch
KEPT = *DRAWN, *(f"val_{name}" for name in DRAWN)


def totals(epochs: Sequence[dict]) -> dict[str, int]:
    """Seconds and skipped steps of a whole training, where every epoch has them."""
    counted = "seconds", "cpu_seconds", "skipped_steps"
    names = [k for k in counted if epochs and all(k in epoch for epoch in epochs)]
    return {name: round(sum(epoch[name] for epoch in epochs)) for name in names}


def write(entry: Path, epochs: Sequence[dict]) -> None:
    """Keeps what is drawn: a list for each metric, two digits after the point.

    None stands for an epoch that was not validated.
    """
    lines = []
    for name in KEPT:
        values = [epoch.get(name) for epoch in epochs]
        if any(value is not None for value in values):
            kept = [value if value is None else round(value, 2) for value in values]
            lines.append(f"{json.dumps(name)}: {json.dumps(kept)}")
    (entry / FILE).write_text("{\n" + ",\n".join(lines) + "\n}\n")


def read(entry: Path) -> list[dict]:
    """What `write` has kept; empty where it has not."""
    if not (entry / FILE).exists():
        return []
    kept = json.loads((entry / FILE).read_text())
    rows = (zip(kept, values) for values in zip(*kept.values()))
    return [{k: v for k, v in row if v is not None} for row in rows]
