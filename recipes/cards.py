"""The card of an entry: what it is, what it is worth, how it was made."""

import ast
import re
from collections.abc import Sequence
from pathlib import Path

from recipes.tables import draws_of, dtype_of, shown

ENTRIES = Path(__file__).parent / "entries"  # the recipes
ARRAY, FOLDER = "NumPy array", "folder "  # how sources of one's own are recorded
PICTURES, LIMITS = "## Pictures\n", "\n\n## Limits"  # the pictures stand between them


def card(name: str, about: str, metadata: dict, drawn: Sequence[Path]) -> str:
    """The model card: what, how, results with their protocol, pictures, limits."""
    data = metadata["data"]
    load, sample = "", "images = model.sample(16, seed=0)"
    if "label" in data.get("given", ()):
        sample = 'images = model.sample(10, {"label": list(range(10))}, seed=0)'
    if "low" in data.get("given", ()):
        load = "from recipes import datasets\n"
        size = data.get("image_size")
        size = f", image_size={size}" if size else ""
        sample = f'''data = datasets.load("{data["name"]}"{size})
low = data.given(model, "test", 10)["low"]
images = model.sample(10, {{"low": low}}, seed=0)'''
    return f"""# {name}

{about.strip()}

## Use
```python
import zoo
{load}
model = zoo.load("{name}")  # a zoo.{metadata["class"]}
{sample}
```
{serving_note(metadata)}

{facts(name, metadata)}

{PICTURES}{pictures(drawn)}{LIMITS}
It knows this data set's images, of this size, and nothing else. Likelihoods
of other images say nothing about how natural they are. It is one training with
one seed: another gives other numbers.
"""


def card_of_numbers(name: str, about: str, metadata: dict) -> str:
    """The card of a training of which the numbers alone are kept."""
    numbers = {key: value for key, value in metadata.items() if key != "check"}
    return f"# {name}\n\n{about.strip()}\n\n{facts(name, numbers)}\n"


def docstring(recipe: Path) -> str:
    """What a recipe says of itself, read and not run."""
    return ast.get_docstring(ast.parse(recipe.read_text()))


def facts(name: str, metadata: dict) -> str:
    """Results with their protocol, how they were come by, and of what data."""
    metrics, data, machine = (metadata[k] for k in ("metrics", "data", "machine"))
    rows = [
        f"| {metric} | {shown(figure['value'])} | {figure['unit']} | "
        f"{figure['protocol']} |"
        for metric, figure in metrics.items()
    ]
    if "check" in metadata:
        (_, images), (figure, value) = metadata["check"].items()
        protocol = f"first {images} test images; a loaded entry gives it again"
        rows.append(f"| {figure} | {shown(value)} | nats | {protocol} |")
    results = "\n".join(rows)
    options = f" --dtype {metadata['dtype']}" if "dtype" in metadata else ""
    apart = ""
    if "nll" in metrics and (draws := draws_of(metrics)).isdigit():
        if dtype := dtype_of(metrics):
            apart = "The NLL was measured afterwards: `python -m recipes evaluate "
            apart += f"{name} --samples {draws} --dtype {dtype} --record`.\n"
        else:
            options += f" --samples {draws}"
    libraries = {"Python": machine["python"], **metadata["libraries"]}
    versions = ", ".join(" ".join(pair) for pair in libraries.items())
    if "skipped_steps" in metadata:
        count = metadata["skipped_steps"] or "none"
        versions += f".\nSteps skipped for gradients that were not finite: {count}"
    cores = "1 core" if machine["cores"] == 1 else f"{machine['cores']} cores"
    cpu = f", {metadata['cpu_seconds']} CPU s" if "cpu_seconds" in metadata else ""
    if "rounded" in metadata:
        versions += f".\nWeights have the significant bits of {metadata['rounded']}"
    binarised, drawn = "in [0, 1]", ""
    if data["binarise"]:
        binarised = "binarised"
        drawn = """Training images are drawn anew from their values at every step;
validation and test images are drawn once, with a fixed seed.
"""
    source = data["source"]  # of a folder the name alone: cards travel
    source = f"{FOLDER}{data['name']}" if source.startswith(FOLDER) else source
    split = ", ".join(f"{count:,} {part}" for part, count in data["split"].items())
    return f"""## Results
| metric | value | unit | protocol |
|---|---|---|---|
{results}

## Training
`python -m recipes train {metadata["recipe"]} --epochs {metadata["epochs"]} \
--seed {metadata["seed"]}{options}`: \
{metadata["seconds"]} s on {cores}{cpu}
({machine["processor"]}), {metadata["parameters"]:,} parameters.
{apart}{versions}.

## Data
{source}, {binarised}; {split} images.
Validation images were held out of the training set; the test set chose nothing.
{drawn}Licence of the images, and of the weights: {data["licence"]}.
SHA-256 of the images: `{data["checksum"]}`."""


def pictures(drawn: Sequence[Path]) -> str:
    """The files of an entry's pictures, as Markdown."""
    return "\n\n".join(f"![{file.stem}](figures/{file.name})" for file in drawn)


def pictured(text: str) -> list[Path]:
    """The files of the pictures that a card's text shows."""
    return [Path(name) for name in re.findall(r"\]\(figures/(.+?)\)", text)]


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
        if metadata["class"] == "VQVAE":
            how = "by the one code of each"
    compared = f"{table['images']} training images, {how}."
    return f"{note}\nIts `anomaly_score` compares with {compared}"
