"""The card of an entry: what it is, what it is worth, how it was made."""

from collections.abc import Sequence
from pathlib import Path

from recipes.tables import shown

PICTURES, LIMITS = "## Pictures\n", "\n\n## Limits"  # the pictures stand between them


def card(name: str, about: str, metadata: dict, drawn: Sequence[Path]) -> str:
    """The model card: what, how, results with their protocol, pictures, limits."""
    metrics, data, machine = (metadata[k] for k in ("metrics", "data", "machine"))
    rows = "\n".join(
        f"| {metric} | {shown(figure['value'])} | {figure['unit']} | "
        f"{figure['protocol']} |"
        for metric, figure in metrics.items()
    )
    sample = "images = model.sample(16, seed=0)"
    if "label" in data.get("given", ()):
        sample = 'images = model.sample(10, {"label": list(range(10))}, seed=0)'
    if "low" in data.get("given", ()):
        sample = 'images = model.sample(len(low), {"low": low}, seed=0)'
    precision = f" --dtype {metadata['dtype']}" if "dtype" in metadata else ""
    binarised = "binarised" if data["binarise"] else "in [0, 1]"
    return f"""# {name}

{about.strip()}

## Use
```python
import zoo

model = zoo.load("{name}")  # a zoo.{metadata["class"]}
{sample}
```
{serving_note(metadata)}

## Results
| metric | value | unit | protocol |
|---|---|---|---|
{rows}

## Training
`python -m recipes train {metadata["recipe"]} --epochs {metadata["epochs"]} \
--seed {metadata["seed"]}{precision}`: \
{metadata["seconds"]} s on {machine["cores"]} cores
({machine["processor"]}), {metadata["parameters"]:,} parameters. Validation
images were held out of the training set; the test set chose nothing.

## Data
{data["source"]}, {binarised}; licence of the images: {data["licence"]}. Training images
are drawn anew from their values at every step where they are binarised; validation
and test images are drawn once, with a fixed seed.

{PICTURES}{pictures(drawn)}{LIMITS}
It knows this data set's images, centred and of this size, and nothing else. Likelihoods
of other images say nothing about how natural they are.
"""


def pictures(drawn: Sequence[Path]) -> str:
    """Of the files of an entry's pictures those that its card shows, as Markdown."""
    names = [file.stem for file in drawn if file.stem != "history"]
    return "\n\n".join(f"![{name}](figures/{name}.png)" for name in names)


def show(drawn: Sequence[Path], text: str) -> str:
    """A card's text with these pictures in place of those that it shows."""
    before, rest = text.split(PICTURES)
    return before + PICTURES + pictures(drawn) + LIMITS + rest.split(LIMITS)[1]


def serving_note(metadata: dict) -> str:
    """What a card says of `serving/`."""
    note = "`serving/` is a SavedModel for TensorFlow Serving: its `model_base_path`."
    if "rarity" not in metadata:
        return note
    table = metadata["rarity"]
    how = "by exact log p(x)"
    if table["num_importance_samples"]:
        how = f"by {table['num_importance_samples']} importance samples each"
    compared = f"{table['images']} training images, {how}."
    return f"{note}\nIts `anomaly_score` compares with {compared}"
