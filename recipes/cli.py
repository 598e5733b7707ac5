"""The command line: train, evaluate, draw and export the entries of the zoo.

TensorFlow starts inside the commands, so that `--help` answers at once.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from recipes.cards import ENTRIES, docstring
from recipes.quiet import quiet
from recipes.tables import print_metrics, table_of_entries, table_of_recipes

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Variational autoencoders: train them, measure them, look at them, serve them."
    "\n\nBegin with `demo`; `list` shows the recipes and the pretrained entries.",
)
console = Console()

EntryPath = Annotated[
    str,
    typer.Argument(
        metavar="PATH", help="A pretrained entry: its name in `list`, or its folder."
    ),
]

Host = Annotated[
    str, typer.Option(help="Address to listen at; 0.0.0.0: for other machines too.")
]


def main(app: typer.Typer = app) -> None:
    """Runs a command line; foreseeable failures end in one line and exit code 1."""
    try:
        app()
    except (OSError, ValueError, RuntimeError) as error:
        message = f"[bold red]Error:[/] {escape(str(error))}"
        Console(stderr=True).print(message, highlight=False, soft_wrap=True)
        sys.exit(1)


@app.command("list")
def list_() -> None:
    """Show the recipes that `train` knows and the pretrained entries."""
    start_tensorflow()
    from zoo import presets

    texts = {name: docstring(ENTRIES / f"{name}.py") for name in recipe_names()}
    console.print(table_of_recipes(texts))
    records = {name: presets.read_metadata(name) for name in presets.list_presets()}
    console.print(table_of_entries(records))


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="A recipe; `list` shows them.")],
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Passes over the data; by default the recipe's own."),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=2**32 - 1,
            help="Of weights, batches and noise: same seed, same run.",
        ),
    ] = 0,
    samples: Annotated[
        int,
        typer.Option(min=0, help="Importance samples per image of the NLL; 0: no NLL."),
    ] = 500,
    dtype: Annotated[
        str,
        typer.Option(help="mixed_bfloat16 is faster where the processor has units."),
    ] = "float32",
    run_dir: Annotated[
        Path | None,
        typer.Option(help="Checkpoints, logs and the entry; by default runs/NAME."),
    ] = None,
) -> None:
    """Train a recipe, measure it on the test set and write its entry, of float32.

    Killed or interrupted, the same command goes on from the last checkpoint. Watch it
    with `tensorboard --logdir RUN_DIR/logs`. A study, which compares several models,
    makes no entry: it takes no --samples, and most begin anew when killed.
    """
    check_recipe(name)
    start_tensorflow()
    recipe = load_recipe(name)
    from recipes.runs import Run
    from zoo import presets

    folder = run_dir or Path("runs") / name
    epochs = epochs or recipe.EPOCHS
    recipe.train(Run(name, folder, epochs, seed, samples, dtype=dtype))
    entry = folder / name
    if entry.exists():  # studies make tables and pictures instead
        print_metrics(presets.read_metadata(entry)["metrics"], name, console)
        console.print(f"Entry: {entry}", highlight=False)


@app.command()
def evaluate(
    path: EntryPath,
    samples: Annotated[
        int, typer.Option(min=1, help="Importance samples per image of the NLL.")
    ] = 500,
    images: Annotated[
        int | None,
        typer.Option(min=1, help="First test images only; by default all of them."),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(help="Policy of the networks, such as mixed_bfloat16; faster."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file too.")
    ] = None,
    record: Annotated[
        bool,
        typer.Option("--record", help="Keep the NLL in the record and on the card."),
    ] = False,
) -> None:
    """Measure an entry on its test set: NLL, ELBO, rate, distortion, active units.

    The NLL is importance-weighted: an upper bound that falls as --samples rises, so
    compare only figures of equal samples.
    """
    if record and images:
        raise ValueError("`--record` is for all test images. Received: --images")
    start_tensorflow()
    import zoo
    from recipes import publish

    model = zoo.load(path)
    data, test = publish.test_images(zoo.presets.read_metadata(path))
    metrics = publish.measure(model, data, test[:images], samples, dtype)
    print_metrics(metrics, path, console)
    if record:
        publish.record(path, metrics)
    if json_file:
        json_file.write_text(json.dumps(metrics, indent=2) + "\n")


@app.command()
def figures(
    path: EntryPath,
    output: Annotated[
        Path | None, typer.Option(help="Folder; by default the entry's own figures/.")
    ] = None,
) -> None:
    """Draw an entry's samples, reconstructions, interpolations and latents as PNG.

    Its card shows them.
    """
    start_tensorflow()
    from recipes import publish

    for file in publish.redraw(path, output):
        console.print(str(file), highlight=False)


@app.command()
def export(
    path: EntryPath,
    output: Annotated[
        Path | None, typer.Option(help="Base path; by default the entry's serving/.")
    ] = None,
) -> None:
    """Export an entry to a SavedModel that TensorFlow Serving runs.

    Each call adds a version: BASE/1, BASE/2, ...; the server picks the newest. Beside
    them are a model config, batching parameters and a Compose file.
    """
    start_tensorflow()
    import zoo
    import zoo.serving
    from recipes.layout import check_name, write_layout

    entry = zoo.presets.find(path).resolve()
    check_name(entry.name)
    base = output or entry / "serving"
    rarity = zoo.presets.read_metadata(path).get("rarity")
    version = zoo.serving.export(zoo.load(path), base, rarity=rarity)
    for file in (version, *write_layout(base, entry.name, zoo.serving.MAX_ROWS)):
        console.print(str(file), highlight=False)


@app.command()
def republish(path: EntryPath) -> None:
    """Export a finished entry anew, in place of its exports; its weights stay.

    It measures how likely training images are, for the signature `anomaly_score`.
    """
    start_tensorflow()
    from recipes import publish

    console.print(str(publish.republish(path)), highlight=False)


@app.command()
def serve(
    path: EntryPath,
    host: Host = "127.0.0.1",
    grpc_port: Annotated[int, typer.Option(min=0, max=65535)] = 8500,
    rest_port: Annotated[int, typer.Option(min=0, max=65535)] = 8501,
) -> None:
    """Serve an entry's newest export without Docker, until Ctrl-C.

    It speaks TensorFlow Serving's gRPC and REST, runs the model as that does, and
    leaves batching, new versions and metrics to it. Port 0 is any that is free.
    """
    start_tensorflow()
    import zoo
    from recipes.server.process import command

    entry = zoo.presets.find(path).resolve()
    arguments = command(entry, host, (grpc_port, rest_port))
    os.execv(arguments[0], arguments)  # the server does without Python's TensorFlow


@app.command()
def explore(
    path: EntryPath,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 7860,
) -> None:
    """Open a page that moves an entry's latents, until Ctrl-C.

    It also encodes and scores images, draws samples and interpolates. It asks nothing
    of the internet. Port 0 is any that is free.
    """
    start_tensorflow()
    try:
        from recipes.explorer.app import serve
    except ModuleNotFoundError as error:
        wanted = "The explorer needs: pip install '.[explore]'"
        raise RuntimeError(f"{error}. {wanted}") from None
    serve(path, host, port)


@app.command()
def results() -> None:
    """Compare the entries on binarised images with each other and with their papers.

    Writes the tables and pictures of docs/results.md, and all cards, anew from the
    records.
    """
    start_tensorflow()
    from recipes import comparison

    rows = comparison.rows()
    console.print(comparison.table(comparison.entries(rows)))
    for file in (*comparison.update(rows), comparison.draw_layer_rates()):
        console.print(str(file), highlight=False)


@app.command()
def demo(
    run_dir: Annotated[
        Path, typer.Option(help="Where everything goes; emptied first.")
    ] = Path("runs/demo"),
    epochs: Annotated[int, typer.Option(min=1, help="Of the short training.")] = 2,
) -> None:
    """See all of it in minutes: load, check, train, measure, draw, save, export."""
    start_tensorflow()
    from recipes.demo import run_demo

    run_demo(run_dir, epochs, console)


def recipe_names() -> list[str]:
    """Names of the recipes: the files in `recipes/entries`."""
    return sorted(file.stem for file in ENTRIES.glob("[a-z]*.py"))


def start_tensorflow() -> None:
    """Imports TensorFlow and finds its devices, without its remarks."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet():
        import tensorflow as tf

        tf.config.list_logical_devices()


def check_recipe(name: str) -> None:
    """An unknown name is a usage error that lists the known ones."""
    if name not in recipe_names():
        raise typer.BadParameter(
            f"no recipe {name!r}; there are: {', '.join(recipe_names())}",
            param_hint="NAME",
        )


def load_recipe(name: str):
    """The module of a recipe."""
    return importlib.import_module(f"recipes.entries.{name}")
