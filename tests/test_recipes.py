"""The command line, runs that survive a kill, and what a finished entry holds."""

import dataclasses
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from typer.testing import CliRunner

import zoo
from recipes import (
    cards,
    cli,
    comparison,
    datasets,
    demo,
    figures,
    history,
    publish,
    runs,
)
from recipes.figures import latents
from recipes.tables import shown
from tests import configs, digits_run, small_models
from tests.serving_gate import read_meta_graph
from zoo.draws import ACTIVE

ROOT = Path(__file__).parent.parent
RUN = [sys.executable, ROOT / "tests" / "digits_run.py"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def weights(file):
    found = {}

    def collect(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(file) as content:
        content.visititems(collect)
    return found


def test_a_killed_run_ends_as_an_uninterrupted_one(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    digits_run.main(whole)
    process = subprocess.Popen(
        [*RUN, killed], env=ENVIRONMENT, stdout=subprocess.DEVNULL
    )
    history = killed / "history.json"
    while not (history.exists() and len(json.loads(history.read_text())) >= 2):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / "final.weights.h5").exists()
    (killed / "partial.keras").write_bytes(b"half a checkpoint")
    digits_run.main(killed)
    assert len(json.loads(history.read_text())) == 6
    first, second = (weights(f / "final.weights.h5") for f in (whole, killed))
    assert first.keys() == second.keys()
    for name, value in first.items():
        # Threads may add floats in another order; one skipped or repeated step, or
        # other noise, moves weights by the learning rate, 1e-3.
        np.testing.assert_allclose(value, second[name], atol=2e-5, err_msg=name)


def test_a_folder_of_another_run_is_refused(tmp_path):
    runs.Run("one", tmp_path, epochs=2, seed=0)
    runs.Run("one", tmp_path, epochs=2, seed=0)
    with pytest.raises(runs.RunMismatch, match="choose another --run-dir"):
        runs.Run("one", tmp_path, epochs=3, seed=0)


def test_a_folder_of_a_recipe_that_has_changed_is_refused(tmp_path, monkeypatch):
    """What it says of itself may change, what it does may not."""
    monkeypatch.setattr(runs, "ENTRIES", tmp_path)
    recipe, folder = tmp_path / "one.py", tmp_path / "run"
    recipe.write_text('"""One."""\nBETA = 4\n')
    runs.Run("one", folder, epochs=2, seed=0)
    recipe.write_text('"""One, well said."""\n\nBETA = 4  # as in the paper\n')
    runs.Run("one", folder, epochs=2, seed=0)
    recipe.write_text('"""One."""\nBETA = 2\n')
    with pytest.raises(runs.RunMismatch, match="settings and recipe"):
        runs.Run("one", folder, epochs=2, seed=0)


def test_a_run_that_cannot_be_leaves_no_folder_taken(tmp_path):
    with pytest.raises(ValueError, match="Seed"):
        runs.Run("one", tmp_path, epochs=2, seed=-1)
    runs.Run("one", tmp_path, epochs=2, seed=0)


def test_a_folder_in_use_is_refused(tmp_path):
    one = runs.Run("one", tmp_path, epochs=2, seed=0)
    with pytest.raises(runs.RunInUse, match="choose another --run-dir"):
        runs.Run("one", tmp_path, epochs=2, seed=0)
    del one
    runs.Run("one", tmp_path, epochs=2, seed=0)


def test_without_samples_there_is_no_nll():
    digits = datasets.load("digits")
    metrics = publish.measure(small_models.SpatialVAE(), digits, digits.test, 0)
    assert "elbo" in metrics
    assert "nll" not in metrics
    exact = publish.measure(small_models.RealNVP(), digits, digits.test, 0)
    assert "nll" in exact
    assert "bits_per_dim" not in exact  # as it is a density
    mass = publish.measure(small_models.SpatialVAE(), digits, digits.test[:8], 1)
    bits = mass["nll"]["value"] / np.log(2) / 64
    assert mass["bits_per_dim"]["value"] == pytest.approx(bits, rel=1e-5)


def test_names_are_whole_in_a_narrow_terminal():
    done = subprocess.run(
        [sys.executable, "-m", "recipes", "list"],
        cwd=ROOT,
        env={**ENVIRONMENT, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    words = done.stdout.split()
    assert {*cli.recipe_names(), *zoo.list_presets()} <= set(words)
    assert "…" not in done.stdout  # no class or data set is cut either
    assert done.stderr == ""  # TensorFlow's own first lines are kept away


one_entry = pytest.mark.xdist_group("entry")  # one process makes it for all its tests


@pytest.fixture(scope="module")
def entry(tmp_path_factory):
    """A tiny model of digits, trained, measured, drawn, saved, exported, described."""
    folder = tmp_path_factory.mktemp("runs") / "tiny_digits"
    run = runs.Run("tiny_digits", folder, epochs=1, seed=0, num_importance_samples=5)
    train_tiny(run)
    return folder / run.name


def train_tiny(run):
    """What a recipe does, of a tiny model of digits."""
    data = datasets.load("digits")
    vae = zoo.VAE(
        zoo.networks.dense_encoder((8, 8, 1), units=(16,)),
        zoo.networks.dense_decoder(3, (8, 8, 1), units=(16,)),
        latent_dim=3,
    )
    vae.compile("adam", jit_compile=False)
    vae = run.fit(vae, data, batch_size=128, binarise=True)
    publish.publish(run, vae, data, about="Tiny.", binarise=True)


def test_training_from_the_command_line_ends_in_results(tmp_path, monkeypatch):
    """Without samples too; and it says why the first step takes its time."""
    recipe = types.SimpleNamespace(EPOCHS=9, train=train_tiny)
    monkeypatch.setattr(cli, "recipe_names", lambda: ["tiny"])
    monkeypatch.setattr(cli, "load_recipe", lambda name: recipe)
    arguments = ["train", "tiny", "--epochs", "1", "--samples", "0"]
    arguments += ["--run-dir", str(tmp_path)]
    output = CliRunner().invoke(cli.app, arguments).output
    said = output.index("The first step is compiled, which takes seconds")
    assert said < output.index("loss: ")
    metrics = zoo.presets.read_metadata(tmp_path / "tiny")["metrics"]
    assert "nll" not in metrics
    assert "nll" not in output
    for name in ("elbo", "rate", "distortion"):
        value = shown(metrics[name]["value"])
        assert re.search(rf"{name} .* {re.escape(value)} .* nats", output)
    assert "\nEntry: " in output


@one_entry
def test_an_entry_is_complete(entry):
    for name in ("config.json", "metadata.json", "model.weights.h5", "README.md"):
        assert (entry / name).stat().st_size > 0
    assert (entry / "serving" / "1" / "saved_model.pb").exists()
    drawn = {file.stem for file in (entry / "figures").glob("*.png")}
    assert drawn == {
        "samples", "reconstructions", "interpolation", "traversal", "latent_space",
        "history",
    }  # fmt: skip
    metrics = json.loads((entry / "metadata.json").read_text())["metrics"]
    total = metrics["rate"]["value"] + metrics["distortion"]["value"]
    assert metrics["elbo"]["value"] == pytest.approx(-total)
    assert metrics["nll"]["value"] < -metrics["elbo"]["value"]
    assert "5 importance samples" in metrics["nll"]["protocol"]
    for weights in zoo.load(entry).get_weights():
        assert weights.dtype != np.float32 or not np.any(
            weights.view(np.uint32) % 2**16
        )


def test_a_history_is_kept_as_it_is_drawn(tmp_path):
    epochs = [{"elbo": -2.123, "rate": 1.0, "seconds": 3.0, "loss": 2.123}] * 2
    epochs += [{**epochs[0], "val_elbo": -2.5}]
    history.write(tmp_path, epochs)
    first, second, third = history.read(tmp_path)
    assert first == second == {"elbo": -2.12, "rate": 1.0}
    assert third == {"elbo": -2.12, "rate": 1.0, "val_elbo": -2.5}
    assert history.read(tmp_path / "none") == []
    assert history.totals(epochs) == {"seconds": 9}


@pytest.mark.parametrize(
    ("build", "binarise", "drawn"),
    [
        pytest.param(
            configs.glow,
            False,
            {"samples", "interpolation", "history"},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            small_models.SpatialVAE,
            True,
            {"samples", "reconstructions", "levels", "history"},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            configs.semi_supervised_vae,
            True,
            {"samples", "reconstructions", "traversal", "latent_space", "history"},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            configs.ref_vae,
            False,
            {
                "samples",
                "reconstructions",
                "enlarged",
                "traversal",
                "latent_space",
                "history",
            },
            marks=pytest.mark.slow,
        ),
    ],
    ids=["no latents", "spatial latents", "labels", "images as conditions"],
)
def test_models_of_other_kinds_make_entries_too(build, binarise, drawn, tmp_path):
    run = runs.Run(
        "other", tmp_path, epochs=1, seed=0, num_importance_samples=5, test_images=50
    )
    data, model = datasets.load("digits"), build()
    model.compile("adam", jit_compile=False)
    model = run.fit(model, data, batch_size=128, binarise=binarise)
    entry = publish.publish(run, model, data, about="Tiny.", binarise=binarise)
    assert {file.stem for file in (entry / "figures").glob("*.png")} == drawn
    metadata = zoo.presets.read_metadata(entry)
    data, images = publish.test_images(metadata)
    found = publish.check(zoo.load(entry), data, images)
    assert found == pytest.approx(metadata["check"], rel=1e-5)
    protocol = metadata["metrics"]["nll"]["protocol"]
    assert protocol.startswith("exact" if model.exact else "5 importance samples")


def test_an_entry_holds_the_average_of_the_weights_where_asked(tmp_path):
    """Keras' option: every step, what is saved and exported is 0.9 a + 0.1 w."""

    class Steps(keras.callbacks.Callback):
        average = None

        def on_train_batch_end(self, batch, logs=None):
            weights = [w.numpy() for w in self.model.trainable_weights]
            pairs = zip(self.average or weights, weights)
            self.average = [0.9 * a + 0.1 * w for a, w in pairs]

    data, vae, steps = datasets.load("digits"), configs.build(), Steps()
    optimizer = keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)
    vae.compile(optimizer, jit_compile=False, steps_per_execution=1)
    fit = vae.fit
    vae.fit = lambda *a, callbacks, **k: fit(*a, callbacks=[steps, *callbacks], **k)
    settings = {"seed": 0, "num_importance_samples": 0, "test_images": 50}
    run = runs.Run("averaged", tmp_path, epochs=1, **settings)
    vae = run.fit(vae, data, batch_size=128, binarise=True)
    for found, average in zip(vae.trainable_weights, steps.average, strict=True):
        np.testing.assert_allclose(found, average, rtol=1e-4, atol=1e-6)
    runs.round_weights(vae)
    held = vae.get_weights()
    entry = publish.publish(run, vae, data, about="Tiny.", binarise=True)
    model = zoo.load(entry)
    for found, weights in zip(model.get_weights(), held, strict=True):
        np.testing.assert_array_equal(found, weights)
    x = configs.BINARY[:3]
    served = tf.saved_model.load(entry / "serving" / "1").signatures["encode"]
    np.testing.assert_allclose(
        served(x=tf.constant(x))["z"], model.encode(x)[0], atol=1e-5
    )


def test_training_in_bfloat16_makes_an_entry_of_float32(tmp_path):
    run = runs.Run(
        "tiny_digits",
        tmp_path,
        epochs=1,
        seed=0,
        num_importance_samples=0,
        test_images=50,
        dtype="mixed_bfloat16",
    )
    train_tiny(run)
    keras.config.set_dtype_policy("float32")
    trained = keras.saving.load_model(tmp_path / "checkpoint.keras")
    assert trained.encoder.layers[-1].compute_dtype == "bfloat16"
    model = zoo.load(tmp_path / run.name)
    assert model.encoder.layers[-1].compute_dtype == "float32"
    runs.round_weights(trained)
    for one, other in zip(model.get_weights(), trained.get_weights()):
        np.testing.assert_array_equal(one, other)
    card = (tmp_path / run.name / "README.md").read_text()
    assert "--seed 0 --dtype mixed_bfloat16`" in card
    with pytest.raises(ValueError, match="Received: dtype='bfloat16'"):
        runs.Run("tiny_digits", tmp_path / "no", epochs=1, seed=0, dtype="bfloat16")
    assert not (tmp_path / "no").exists()


def test_two_latents_get_a_grid_of_their_images(tmp_path):
    model = zoo.VAE(
        zoo.networks.dense_encoder((8, 8, 1), units=(16,)),
        zoo.networks.dense_decoder(2, (8, 8, 1), units=(16,)),
        latent_dim=2,
    )
    data = datasets.load("digits")
    drawn = figures.draw(model, data, data.test, tmp_path)
    assert {"decoded_grid.png", "latent_space.png"} <= {file.name for file in drawn}
    grid = figures.decoded_grid(model, side=3)
    *_, columns, rows = texts(grid)
    assert columns == ["-2.3", "0.0", "2.3"]
    assert rows == columns[::-1]
    (axes,) = grid.axes
    mosaic = axes.images[0].get_array()  # rows of three images of 8 x 8
    upper_right = model.decode(np.float32([[2.3263, 2.3263]]))[0, ..., 0]  # 99 % of N
    np.testing.assert_allclose(mosaic[:8, 16:], upper_right, atol=1e-4)


@pytest.mark.slow
@one_entry
def test_the_demo_gets_an_answer_from_an_export(entry):
    done = subprocess.run(
        [sys.executable, "-c", demo.REQUEST, entry / "serving" / "1"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("3 samples, shape (3, 8, 8, 1)"), done.stderr


@one_entry
def test_evaluate_repeats_the_card(entry, tmp_path):
    file = tmp_path / "metrics.json"
    arguments = ["evaluate", str(entry), "--samples", "5", "--json", str(file)]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(file.read_text())
    promised = json.loads((entry / "metadata.json").read_text())["metrics"]
    for name in ("nll", "elbo", "rate", "distortion"):
        # Same draws; float sums may differ in order.
        assert found[name]["value"] == pytest.approx(promised[name]["value"], rel=1e-5)


@one_entry
def test_a_likelihood_may_be_kept(entry, tmp_path):
    mine = shutil.copytree(entry, tmp_path / "mine")
    before = zoo.presets.read_metadata(mine)
    arguments = ["evaluate", str(mine), "--samples", "2", "--record"]
    result = CliRunner().invoke(cli.app, [*arguments, "--images", "3"])
    assert "`--record` is for all test images" in str(result.exception)
    assert CliRunner().invoke(cli.app, arguments).exit_code == 0
    after = zoo.presets.read_metadata(mine)
    assert after["metrics"]["nll"]["protocol"].startswith("2 importance samples")
    nll = shown(after["metrics"]["nll"]["value"])
    assert f"| nll | {nll} |" in (mine / "README.md").read_text()
    for record in (before, after):
        for name in ("nll", "bits_per_dim", "nll_seconds"):
            del record["metrics"][name]
    assert after == before


@pytest.mark.slow
@one_entry
def test_evaluate_says_in_which_precision(entry, tmp_path):
    file = tmp_path / "metrics.json"
    options = ["--samples", "2", "--images", "3", "--dtype", "mixed_bfloat16"]
    arguments = ["evaluate", str(entry), *options, "--json", str(file)]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(file.read_text())
    for name in ("nll", "elbo"):
        assert found[name]["protocol"].endswith(", networks in mixed_bfloat16")


@pytest.mark.slow
@one_entry
def test_figures_and_export_write_where_told(entry, tmp_path):
    for command in ("figures", "export"):
        output = tmp_path / command
        result = CliRunner().invoke(
            cli.app, [command, str(entry), "--output", str(output)]
        )
        assert result.exit_code == 0, result.output
        assert any(output.iterdir())


@pytest.mark.slow
@one_entry
def test_a_card_shows_what_is_drawn_anew(entry):
    text = (entry / "README.md").read_text()
    shown = cards.show([entry / "figures" / "samples.png"], text)
    assert re.findall(r"!\[.*", shown) == ["![samples](figures/samples.png)"]
    places = re.findall(r"figures/(\w+).png", text)
    drawn = [entry / "figures" / f"{name}.png" for name in places]
    assert cards.show(drawn, shown) == text


@one_entry
def test_an_older_entry_is_exported_anew_with_its_weights(entry, tmp_path):
    old = shutil.copytree(entry, tmp_path / entry.name)
    metadata = zoo.presets.read_metadata(old)
    table, images = metadata.pop("rarity"), metadata["data"]["name"]
    assert table["images"] == len(datasets.load(images).train)
    assert "compares with" in (old / "README.md").read_text()
    note = cards.serving_note(metadata)
    card = (old / "README.md").read_text()
    card = card.replace(cards.serving_note(metadata | {"rarity": table}), note)
    (old / "README.md").write_text(card)
    (old / "metadata.json").write_text(json.dumps(metadata))
    (old / "serving" / "2").mkdir()
    result = CliRunner().invoke(cli.app, ["republish", str(old)])
    assert result.exit_code == 0, result.output
    assert zoo.presets.read_metadata(old) == zoo.presets.read_metadata(entry)
    for name in ("README.md", "model.weights.h5"):
        assert (old / name).read_bytes() == (entry / name).read_bytes()
    assert [path.name for path in (old / "serving").iterdir()] == ["1"]
    signatures = read_meta_graph(old / "serving" / "1").signature_def
    assert {"anomaly_score", "reconstruct_bytes"} <= signatures.keys()


def test_a_checkpoint_remains_when_the_disk_is_full(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    main = digits_run.main
    save = zoo.VAE.save
    calls = []

    def full_disk(self, file, *args, **kwargs):
        calls.append(file)
        if len(calls) == 3:
            Path(file).write_bytes(b"half")
            raise OSError(28, "No space left on device", str(file))
        return save(self, file, *args, **kwargs)

    monkeypatch.setattr(zoo.VAE, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        main(str(folder))
    monkeypatch.undo()
    main(str(folder))
    assert len(json.loads((folder / "history.json").read_text())) == 6


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--help"], 0, "Begin with"),
        (["train", "no_such_recipe"], 2, "conv_vae_mnist"),
        (["train", "conv_vae_mnist", "--epochs", "0"], 2, "epochs"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_exit_codes_and_messages(arguments, code, words):
    done = subprocess.run(
        [sys.executable, "-m", "recipes", *arguments],
        cwd=ROOT,
        env={**ENVIRONMENT, "COLUMNS": "120"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_every_recipe_says_what_it_makes():
    for name in cli.recipe_names():
        recipe = cli.load_recipe(name)
        assert recipe.__doc__.splitlines()[0].endswith(".")
        assert recipe.EPOCHS >= 1
        assert callable(recipe.train)


@pytest.mark.parametrize("name", cli.recipe_names())
def test_a_recipe_shows_all_that_it_does(name):
    """Data, networks, optimiser and training are in its own file."""
    text = (cli.ENTRIES / f"{name}.py").read_text()
    for part in (
        r"datasets\.load\(|^POINTS = |^TARGETS = ",
        r"zoo\.(networks\.|BIVA|Glow|NVAE|VLAE|VQVAE)|IAF\(",
        r"keras\.optimizers\.Adam(ax)?\(",
        r"\bfit\(",
    ):
        assert re.search(part, text, re.MULTILINE), part
    assert "recipes.entries" not in text


PUBLISHING = [
    name
    for name in cli.recipe_names()
    if re.search(
        r"\bpublish(_with_priors)?\(", (cli.ENTRIES / f"{name}.py").read_text()
    )
]
WARM_UPS = {
    "fifth": "steps // 5",
    "quarter": "steps // 4",
    "three tenths": "3 * steps // 10",
    "half": "steps // 2",
}


@pytest.mark.parametrize("name", PUBLISHING)
def test_a_recipe_that_makes_an_entry_says_how_it_trains(name):
    """Its card has these words, and so names what the number owes to them."""
    _, words, code = (cli.ENTRIES / f"{name}.py").read_text().split('"""', 2)
    words = " ".join(words.split())
    said = re.search(r"Training: (Adam|Adamax), [^.]+ batches of (\d+)", words)
    assert f"keras.optimizers.{said[1]}(" in code
    assert re.search(rf"batch_size.* {said[2]}\b", code, re.IGNORECASE)
    assert ("cosine" in words) == ("CosineDecay(" in code)
    for start, share in re.findall(r"Decay\((\d+e-\d+), .*?alpha=([\d.]+)", code):
        end = f"{float(start) * float(share):.0e}".replace("e-0", "e-")
        assert f"{start} falling to {end} by a cosine" in words
    assert ("warm-up over" in words) == ("schedules.Linear(" in code)
    for share, steps in WARM_UPS.items():
        assert f"over the first {share}" not in words or steps in code
    assert words.count("Adam") >= code.count("keras.optimizers.Adam")


@functools.cache
def shipped_images(data: str) -> tuple[datasets.Dataset, np.ndarray]:
    """A card's data set and its first test images, which the cards share."""
    try:
        data, images = publish.test_images({"data": json.loads(data)})
    except datasets.DatasetUnavailable as error:
        pytest.skip(str(error))  # it does not come with the repository
    few = images[: publish.CHECK_IMAGES].copy()
    return dataclasses.replace(data, train=None, validation=None), few


@pytest.mark.parametrize("name", zoo.list_presets())
def test_a_shipped_entry_gives_what_its_card_promises(name):
    metadata = zoo.presets.read_metadata(name)
    shipped = shipped_images(json.dumps(metadata["data"]))
    found = publish.check(zoo.load(name), *shipped)
    # Same draws; float sums may differ in order.
    assert found == pytest.approx(metadata["check"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in zoo.list_presets() if name.startswith("vq_vae2")]
)
def test_shipped_priors_draw_the_images(name):
    model = zoo.load(name)
    images, noise = (
        version.sample(20, seed=0).numpy() for version in (model, model.with_priors([]))
    )
    assert images.shape == noise.shape == (20, *model.event_shape)
    # Neighbours are alike in images, and less so in those of codes drawn evenly.
    rough = [np.abs(np.diff(pixels, axis=2)).mean() for pixels in (images, noise)]
    assert rough[0] < 0.8 * rough[1]


def test_a_grid_is_what_it_shows():
    rows = np.zeros((2, 3, 4, 5, 1))
    rows[1, 2] = 1.0
    figure = figures.grid(list(rows), ["a", "b"])
    (axes,) = figure.axes
    shown = np.asarray(axes.images[0].get_array())
    assert shown.shape == (8, 15)
    assert shown[4:, 10:].min() == 1.0
    assert shown.sum() == 20
    assert figures.as_array(figure).shape[-1] == 4


def test_a_grid_takes_images_as_they_are_loaded():
    images = datasets.load("emoji").train[:3]
    whole, floats = (
        figures.grid([row]).axes[0].images[0].get_array()
        for row in (images, np.float32(images) / 255)
    )
    assert whole.shape == (32, 96, 3)
    np.testing.assert_allclose(whole, floats, atol=1e-6)
    with pytest.raises(
        ValueError, match=r"`\[images\]` is one row\. Received: .*32, 3"
    ):
        figures.grid(images)


def test_grey_pictures_are_kept_to_the_level_and_plots_to_256_colours(tmp_path):
    rows = list(configs.BINARY[:20].reshape(2, 10, *configs.BINARY.shape[1:]))
    figure = figures.grid(rows, ["a", "b"])
    figures.save(figure, tmp_path / "grey.png")
    with Image.open(tmp_path / "grey.png") as picture:
        assert picture.mode == "L"
        shown = np.asarray(picture.convert("RGBA"))
    np.testing.assert_array_equal(shown, figures.as_array(figure))
    figure.axes[0].tick_params(labelcolor="red")
    figures.save(figure, tmp_path / "red.png")
    with Image.open(tmp_path / "red.png") as picture:
        assert picture.mode == "P"
        shown = np.asarray(picture.convert("RGBA"), float)
    off = np.abs(shown - figures.as_array(figure))
    assert off.mean() < 0.1  # of 255
    assert off.max() < 16
    rows = np.random.default_rng(0).uniform(size=(1, 10, 32, 32, 3))
    figure = figures.grid(list(rows))
    figures.save(figure, tmp_path / "colours.png")
    with Image.open(tmp_path / "colours.png") as picture:
        shown = np.asarray(picture.convert("RGBA"))
    np.testing.assert_array_equal(shown, figures.as_array(figure))


def test_an_interpolation_goes_from_image_to_image():
    """From the reconstruction of the left one to that of the right one."""
    model, images = configs.build(), configs.BINARY[:4]
    (axes,) = figures.interpolation(model, images, steps=3).axes
    shown = np.split(axes.images[0].get_array(), 2)  # rows
    made = model.reconstruct(images).numpy()[..., 0]
    for row, left, right in ((shown[0], 0, 1), (shown[1], 2, 3)):
        first, before, _, after, last = np.split(row, 5, axis=1)
        np.testing.assert_array_equal(first, images[left, ..., 0])
        np.testing.assert_array_equal(last, images[right, ..., 0])
        np.testing.assert_allclose(before, made[left], atol=1e-5)  # in other batches
        np.testing.assert_allclose(after, made[right], atol=1e-5)


def texts(figure):
    """Titles, axis labels and tick labels of a figure."""
    (axes,) = figure.axes
    both = axes.get_xticklabels(), axes.get_yticklabels()
    ticks = [[label.get_text() for label in labels] for labels in both]
    title = figure.get_suptitle() or axes.get_title()
    return title, axes.get_xlabel(), axes.get_ylabel(), *ticks


def test_a_traversal_says_which_latent_moves_where_and_its_rate():
    model, images = configs.build(), configs.BINARY
    title, below, _, columns, rows = texts(figures.traversal(model, images))
    normal = model.posterior(model.encoder(images)).distribution
    mean, sigma = normal.loc.numpy(), normal.scale.numpy()
    rates = 0.5 * (mean**2 + sigma**2 - 1 - 2 * np.log(sigma)).mean(axis=0)
    order = np.argsort(-rates)
    assert mean.var(axis=0).min() > ACTIVE
    assert rows == [f"z[{i}]  {rates[i]:.2f} nats" for i in order]
    np.testing.assert_allclose(list(map(float, columns)), np.linspace(-3, 3, 11))
    said = f"One code in z (rate {rates.sum():.1f} nats): {len(order)} active latents"
    assert title == f"{said}, one per row"
    assert below == "value of the row's latent"


HALVES = np.zeros((64, 8, 8, 1), np.float32)
HALVES[32:, 0, 0] = 1.0


def of_variances(*variances):
    """A model whose codes have these variances over `HALVES`."""
    model = zoo.VAE(
        zoo.networks.dense_encoder((8, 8, 1), units=()),
        zoo.networks.dense_decoder(len(variances), (8, 8, 1), units=(4,)),
        latent_dim=len(variances),
    )
    kernel, bias = (np.zeros(w.shape) for w in model.posterior_head.weights)
    kernel[0, : len(variances)] = 2 * np.sqrt(variances)  # that of the pixel is 1/4
    model.posterior_head.set_weights([kernel, bias])
    return model


def test_a_traversal_counts_dead_latents_and_draws_none():
    model = of_variances(0.04, 0.0, 4.0, 0.005, 1.0)
    title, *_, rows = texts(figures.traversal(model, HALVES))
    assert [row.split("  ")[0] for row in rows] == ["z[2]", "z[4]", "z[0]"]
    assert "3 active latents, one per row\n2 dead" in title
    title, *_, rows = texts(figures.traversal(model, HALVES, rows=2))
    assert [row.split("  ")[0] for row in rows] == ["z[2]", "z[4]"]
    assert "2 of 3 active latents, one per row\n2 dead" in title


@pytest.mark.parametrize(
    ("images", "drawn"), [(1, {"latent_space"}), (5, {"latent_space", "interpolation"})]
)
def test_few_images_are_drawn_as_far_as_they_go(images, drawn, tmp_path):
    digits = datasets.load("digits")
    labels = {**digits.labels, "test": digits.labels["test"][:images]}
    digits = dataclasses.replace(digits, test=digits.test[:images], labels=labels)
    for dims in (1, 2):
        model = of_variances(*[1.0] * dims)
        files = figures.draw(model, digits, digits.test, tmp_path / str(dims))
        found = {file.stem for file in files}
        expected = drawn if dims > 1 else drawn - {"latent_space"}
        assert found & {"latent_space", "interpolation"} == expected


def test_a_traversal_without_active_latents_is_the_image_alone():
    model = of_variances(0.005, 0.0)
    figure = figures.traversal(model, HALVES)
    title, _, _, columns, rows = texts(figure)
    assert title.endswith("none of 2 latents is active")
    assert columns == rows == []
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(shown, model.reconstruct(HALVES[:1])[0, ..., 0], 1e-5)


@pytest.mark.parametrize(
    ("build", "title", "row"),
    [
        (
            lambda: configs.ladder(zoo.LadderVAE),
            r"z_2 \(rate [\d.]+ nats\)",
            r"z_2\[\d\]  [\d.]+ nats",
        ),
        (
            lambda: configs.build(prior=zoo.MixturePrior(4, components=3)),
            r"z \(rate [\d.]+ nats\)",
            r"z\[\d\]",  # its rate is no sum over dimensions
        ),
        (lambda: configs.build(zoo.Autoencoder), "z", r"z\[\d\]"),
    ],
    ids=["layers", "mixture", "no rate"],
)
def test_pictures_of_latents_name_the_layer(build, title, row, monkeypatch):
    monkeypatch.setattr(latents, "ACTIVE", 0.0)  # untrained codes vary little
    model, images = build(), configs.BINARY[:64]
    moved, *_, rows = texts(figures.traversal(model, images))
    assert re.match(rf"One code in {title}: \d active latents, one per row", moved)
    assert all(re.fullmatch(row, text) for text in rows)
    assert ("joins them" in moved) == ("rate" in title and "nats" not in row)
    shown, first, second, *ticks = texts(
        figures.latent_space(model, images, configs.LABELS[:64])
    )
    name = title.split(" ")[0]
    if model.latent_fields[name].shape == (2,):
        assert re.fullmatch(f"Codes of 64 images in {title}", shown)
        assert (first, second) == (f"{name}[0]", f"{name}[1]")
    else:
        said = "t-SNE: near codes stay near, axes have no units"
        assert re.fullmatch(f"Codes of 64 images in {title}\n{said}", shown)
        assert (first, second, *ticks) == ("", "", [], [])


@pytest.mark.parametrize("classes", [None, ("T-shirt/top", "Trouser", "Dress")])
def test_a_legend_names_the_classes_that_are_there(classes):
    labels = np.array([0, 2] * 8)
    model, images = configs.build(zoo.Autoencoder), configs.BINARY[:16]
    figure = figures.latent_space(model, images, labels, classes=classes)
    called = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert called == (["0", "2"] if classes is None else ["T-shirt/top", "Dress"])


def test_each_beta_stands_where_no_other_curve_is():
    first = [(4.0, 0.0, 10.0), (1.0, 2.0, 6.0)]  # beta, rate, distortion
    second = [(4.0, 0.0, 8.0), (1.0, 2.0, 7.0)]
    (axes,) = figures.rate_distortion({"first": first, "second": second}).axes
    sides = [np.sign(text.xyann[1]) for text in axes.texts]
    assert [text.get_text() for text in axes.texts] == ["4", "1"] * 2
    assert sides == [1, -1, -1, 1]


def test_a_map_keeps_near_codes_near_and_is_the_same_again():
    draws = np.random.default_rng(0)
    centres = np.repeat(10 * np.eye(5, dtype=np.float32)[:3], 20, axis=0)
    codes = centres + draws.normal(size=centres.shape).astype(np.float32)
    places = latents.neighbours(codes)
    np.testing.assert_array_equal(places, latents.neighbours(codes))
    distances = np.square(places[:, None] - places).sum(axis=-1)
    nearest = np.argsort(distances, axis=1)[:, 1:6]  # after itself
    group = np.arange(60) // 20
    assert (group[nearest] == group[:, None]).all()


def test_the_rates_of_hierarchies_are_drawn_as_recorded(tmp_path, monkeypatch):
    for place in comparison.HIERARCHIES:
        record = json.loads((ROOT / place / "metadata.json").read_text())
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "metadata.json").write_text(json.dumps(record))
    drawn = []
    monkeypatch.setattr(comparison, "ROOT", tmp_path)
    monkeypatch.setattr(figures, "save", lambda figure, file: drawn.append(figure))
    comparison.draw_layer_rates()
    (axes,) = drawn[0].axes
    heights = [[bar.get_height() for bar in bars] for bars in axes.containers]
    assert heights[-1] == record["metrics"]["layer_rates"]["value"]
    assert texts(drawn[0])[3] == ["z_5", "z_4", "z_3", "z_2", "z_1"]


def test_rate_and_distortion_lie_on_lines_of_equal_elbo():
    points = [(0.5, 30.0, 70.0), (1.0, 25.0, 74.0), (4.0, 10.0, 110.0)]
    (axes,) = figures.rate_distortion({"8 latents": points}).axes
    curve, *dotted = axes.lines
    np.testing.assert_array_equal(curve.get_xydata(), [point[1:] for point in points])
    assert [text.get_text() for text in axes.texts] == ["0.5", "1", "4"]
    totals = [sum(line.get_xy1()) for line in dotted]
    assert totals
    assert all(
        line.get_slope() == -1 and not sum(line.get_xy1()) % 20 for line in dotted
    )
    edges = [min(axes.get_xlim()) + min(axes.get_ylim())]
    edges.append(max(axes.get_xlim()) + max(axes.get_ylim()))
    assert edges[0] <= min(totals) < edges[0] + 20
    assert edges[1] - 20 <= max(totals) < edges[1]


@one_entry
@pytest.mark.parametrize("damaged", [True, False])
def test_a_message_is_shown_to_the_letter(
    damaged, entry, tmp_path, monkeypatch, capsys
):
    path, message = tmp_path / "[/none", "[/none'. Known: "
    if damaged:
        path, message = tmp_path / "entry", "metadata.json is damaged"
        shutil.copytree(entry, path)
        (path / "metadata.json").write_text("[/half")
    monkeypatch.setattr(sys, "argv", ["recipes", "evaluate", str(path)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    assert message in capsys.readouterr().err


def test_the_demo_empties_nothing_but_a_demo(tmp_path):
    runs.Run("precious", tmp_path, epochs=1, seed=0)
    with pytest.raises(ValueError, match="a new or a demo's folder"):
        demo.run_demo(tmp_path, 1, cli.console)
    assert (tmp_path / "run.json").exists()


def test_a_step_that_is_left_out_ends_no_training(tmp_path, monkeypatch):
    """The first of an epoch: until one is taken, all that a model says is NaN."""
    data, model, stream = datasets.load("digits"), configs.build(), datasets.stream
    steps = datasets.steps_per_epoch(data.train, 128)

    def spoiled(*args, **kwargs):
        batches = stream(*args, **kwargs).enumerate()
        return batches.map(lambda i, x: tf.where(i == steps, np.nan, x))

    monkeypatch.setattr(datasets, "stream", spoiled)
    model.compile("adam", steps_per_execution=1, skip_non_finite=True)
    run = runs.Run("skips", tmp_path, epochs=2, seed=0)
    run.fit(model, data, batch_size=128, binarise=True)
    assert [epoch["skipped_steps"] for epoch in run.history] == [0, 1]
    assert history.totals(run.history)["skipped_steps"] == 1
    assert np.isfinite(run.history[1]["loss"])


def test_the_parts_of_a_run_count_as_one(tmp_path):
    data, run = datasets.load("digits"), runs.Run("whole", tmp_path, epochs=3, seed=0)
    for name, epochs in (("first", 1), ("second", 2)):
        vae = configs.build()
        vae.compile("adam")
        part = run.part(name, epochs)
        part.fit(vae, data, batch_size=256, binarise=True)
        assert (tmp_path / name / "checkpoint.keras").exists()
        assert len(part.history) == epochs
    assert len(run.history) == 3
    took = history.totals(run.history)
    assert took == {
        name: round(sum(epoch[name] for epoch in run.history))
        for name in ("seconds", "cpu_seconds")
    }
    assert run.history[0]["cpu_seconds"] > 0


def test_weights_are_rounded_to_eight_bits():
    vae = configs.build()
    before = [w for w in vae.get_weights() if w.dtype == np.float32]
    runs.round_weights(vae)
    after = [w for w in vae.get_weights() if w.dtype == np.float32]
    assert any(np.any(a != b) for a, b in zip(after, before))
    for a, b in zip(after, before):
        np.testing.assert_allclose(a, b, rtol=2**-8)  # the half of the last bit's step
        assert not np.any(a.view(np.uint32) % 2**16)  # the bits below are left empty


def test_a_diverged_training_is_no_entry(tmp_path):
    run = runs.Run("diverged", tmp_path, epochs=2, seed=0)
    vae = configs.build()
    vae.compile(keras.optimizers.SGD(1e30), jit_compile=False)
    with pytest.raises(RuntimeError, match="Training diverged in epoch"):
        run.fit(vae, datasets.load("digits"), batch_size=64, binarise=True)


@one_entry
def test_images_that_changed_are_refused(entry):
    metadata = zoo.presets.read_metadata(entry)
    metadata["data"]["checksum"] = "0"
    with pytest.raises(ValueError, match="not those the entry was trained on"):
        publish.test_images(metadata)


def test_images_of_ones_own_are_found_again_in_their_folder(tmp_path, monkeypatch):
    for index, image in enumerate(configs.GREY[:10]):
        file = tmp_path / "mine" / f"{index}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(tf.io.encode_png(np.uint8(255 * image)).numpy())
    monkeypatch.chdir(tmp_path)
    data = datasets.load("mine")
    monkeypatch.chdir("/")
    keys = ("name", "source", "checksum")
    record = {key: getattr(data, key) for key in keys} | {"binarise": False}
    again, images = publish.test_images({"data": record})
    np.testing.assert_array_equal(again.train, data.train)
    assert images.shape == (1, 8, 8, 1)
    data = datasets.load(data.train)
    record = {key: getattr(data, key) for key in keys} | {"binarise": False}
    with pytest.raises(ValueError, match="made of an array"):
        publish.test_images({"data": record})
