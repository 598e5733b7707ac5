"""The explorer: what it asks of models, what it refuses, and its page in a browser."""

import base64
import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import requests
from typer.testing import CliRunner

import zoo
from recipes import cli, datasets
from recipes.explorer import app, pictures, views
from tests import configs, small_models
from tests.browser import Browser
from tests.image_files import gif, png

pytestmark = pytest.mark.xdist_group("explorer")  # one process for all its tests

ROOT = Path(__file__).parent.parent
MODELS = {
    "one layer": configs.build,
    "two latents": lambda: zoo.VAE(
        zoo.networks.dense_encoder((8, 8, 1), units=(16,)),
        zoo.networks.dense_decoder(2, (8, 8, 1), units=(16,)),
        latent_dim=2,
    ),
    "two layers": lambda: configs.ladder(zoo.LadderVAE),
    "labels": configs.conditional_vae,
    "labels that may be unknown": configs.semi_supervised_vae,
    "no rate": lambda: configs.build(zoo.Autoencoder),
    "maps": small_models.SpatialVAE,
    "codes": configs.vq_vae,
    "no latents": small_models.RealNVP,
    "exact up to a bound": configs.glow,
    "a reference": lambda: stirred(configs.ref_vae()),
}
FIRST = ("two layers", "no latents")  # to be asked; others are slow


def stirred(model):
    """The model with other weights: a new one does not look at its latents yet."""
    rng = np.random.default_rng(0)
    for weights in model.decoder.trainable_weights:
        weights.assign_add(rng.normal(0, 0.1, weights.shape))
    return model


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


def record(model, data, binarise=True) -> dict:
    """What an entry's metadata say of a model and its data."""
    told = {"name": "digits", "source": data.source, "checksum": data.checksum}
    return {
        "class": type(model).__name__,
        "parameters": model.count_params(),
        "data": {**told, "binarise": binarise},
    }


def explored(kind: str, data, binarise=True) -> views.Explorer:
    model = MODELS[kind]()
    images = views.evaluation_images(data.test, binarise)
    return views.Explorer("tiny", model, data, images, record(model, data, binarise))


def conditions(about: dict, names: str, found: dict) -> dict:
    """Those that the page sends, out of what it was told last."""
    told = {**found, "label": 3}
    return {
        name: told[name] if name == "label" else pictures.as_url(told[name])
        for name in about[names]
    }


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[pytest.mark.slow] * (kind not in FIRST))
        for kind in MODELS
    ],
)
def test_every_kind_of_model_answers(kind, digits):
    explorer = explored(kind, digits)
    about, test = explorer.about(), explorer.test(5)
    json.dumps([about, test], default=pictures.as_url)
    shape = (8, 8, 1)
    assert about["classes"] == (10 if kind.startswith("labels") else 0)
    assert about["reconstructs"] == (kind not in ("no latents", "exact up to a bound"))
    assert about["interpolates"] == (kind != "codes")
    assert bool(about["map"]) == (kind == "two latents")
    no_sliders = not about["reconstructs"] or kind in ("codes", "maps")
    assert (explorer.codes is None) == no_sliders
    url = pictures.as_url(test["image"])
    assert test["given"].keys() == set(about["asked"])
    given = conditions(about, "asked", test["given"])
    found = explorer.encode(url, given)
    np.testing.assert_array_equal(found["image"], explorer.images[5])
    assert np.isfinite(found["score"])
    assert ("reconstruction" in found, "z" in found) == (
        about["reconstructs"],
        not no_sliders,
    )
    assert found["score"] == explorer.encode(url, given)["score"]
    made_of = conditions(about, "made_of", found)
    if not no_sliders:
        decoded = explorer.decode(found["z"], made_of)["image"]
        assert decoded.shape == shape
        if about["layers"] == 1:  # a small image is sent as 8-bit file
            np.testing.assert_allclose(decoded, found["reconstruction"], atol=0.02)
    if about["interpolates"]:
        line = explorer.interpolate(url, url, made_of)["images"]
        assert [image.shape for image in line] == [shape] * views.STEPS
        if kind != "a reference":  # else the codes are of other images
            same = found["reconstruction" if about["reconstructs"] else "image"]
            np.testing.assert_allclose(line[0], same, atol=1e-5)
    first, again, other = (
        explorer.samples(seed, made_of)["images"] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.shape(first) == (views.SAMPLES, *shape)
    assert not np.array_equal(first, other)


@pytest.mark.slow
def test_an_image_made_small_is_enlarged_by_another(digits):
    explorer = explored("a reference", digits, binarise=False)
    model, data = explorer.model, digits.given(explorer.model, "test", 8)
    test = explorer.test(5)
    np.testing.assert_array_equal(test["given"]["reference"], data["reference"][5])
    urls = [pictures.as_url(data["reference"][row]) for row in (5, 7)]
    x = pictures.as_url(test["image"])
    found, other = (explorer.encode(x, {"reference": url}) for url in urls)
    assert found["low"].shape == (2, 2, 1)
    np.testing.assert_allclose(found["low"], data["low"][5], atol=0.5 / 255)
    want = model.super_resolve(data["low"][5:6], data["reference"][5:6])[0]
    np.testing.assert_allclose(found["reconstruction"], want, atol=0.01)
    assert found["z"] != other["z"]
    low = {"low": pictures.as_url(found["low"])}
    line = explorer.interpolate(*urls, low)["images"]
    for image, end in ((line[0], found), (line[-1], other)):
        np.testing.assert_allclose(image, end["reconstruction"], atol=0.01)
    np.testing.assert_allclose(
        line[4],
        explorer.decode(np.mean([found["z"], other["z"]], 0), low)["image"],
        atol=1e-5,
    )


def test_sliders_are_of_active_latents_as_far_as_codes_go(digits):
    explorer = explored("one layer", digits)
    explorer.codes = np.float32([[0, -3, 1, 0.01], [0, 5, 2, 0.02]])
    assert explorer.sliders() == [
        {"dimension": 1, "low": -3.0, "high": 5.0},
        {"dimension": 2, "low": 1.0, "high": 2.0},
    ]


def test_the_map_shows_the_images_of_its_codes(digits):
    explorer = explored("two latents", digits)
    image, codes = explorer.map()["image"], explorer.map()["codes"]
    part = explorer.decode(codes[1][2], {})["image"]
    np.testing.assert_allclose(image[8:16, 16:24], part, atol=1e-5)


def test_scores_say_what_they_are(digits):
    names = {kind: explored(kind, digits).score_name() for kind in MODELS}
    bound = "a lower bound by 64 importance samples"
    assert names["one layer"] == f"log p(x), {bound}"
    assert names["labels"] == f"log p(x | label), {bound}"
    assert names["labels that may be unknown"] == f"log p(x), {bound}"
    assert names["no rate"] == "log p(x | z)"
    assert names["a reference"] == f"log p(x | low), a density, {bound}"
    assert names["exact up to a bound"] == f"log p(x), {bound}"
    assert names["no latents"].endswith("exact")


@pytest.mark.slow
def test_grey_images_stay_grey_where_the_entry_is(digits):
    grey = np.full((8, 8, 1), 102 / 255)
    url = pictures.as_url(grey)
    seen = explored("one layer", digits, binarise=False).encode(url, {})["image"]
    np.testing.assert_allclose(seen, grey, atol=1e-6)
    seen = explored("one layer", digits).encode(url, {})["image"]
    assert set(np.unique(seen)) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (configs.pixelcnn, r"explore the VQVAE .* `with_priors` such.*\(4, 4\)"),
        (lambda: configs.build(shape=(13,), likelihood=zoo.Normal()), "of images of"),
    ],
)
def test_models_of_no_images_are_refused(build, message, tmp_path):
    entry = zoo.presets.save(build(), tmp_path / "tiny")
    result = CliRunner().invoke(cli.app, ["explore", str(entry), "--port", "0"])
    assert re.search(message, str(result.exception))


def url_of(file: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(file).decode()}"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (None, r"a data URL in base64\. Received: NoneType"),
        ("../../etc/passwd", r"a data URL in base64\. Received: str of 16"),
        ("data:image/png;base64,%%%", "a data URL in base64"),
        (url_of(b"text"), r"PNG or JPEG file\. Received: 4 bytes"),
        (url_of(gif()), "PNG or JPEG file"),
        (url_of(png(8, 8)[:45]), "PNG or JPEG file"),
        (url_of(bytes(pictures.MAX_BYTES + 1)), r"4194304 bytes\. Received: 4194305"),
        (url_of(png(5000, 5000)), r"16777216 pixels\. Received: 5000 x 5000"),
        (url_of(png(10_000, 10_000)), r"16777216 pixels\. Received: far more"),
        (url_of(png(60_000, 60_000)), r"16777216 pixels\. Received: far more"),
    ],
    ids=range(10),
)
def test_bad_files_and_bombs_are_refused(url, message):
    with pytest.raises(ValueError, match=message):
        pictures.from_url(url, (8, 8, 1))


def test_the_middle_of_an_image_is_brought_to_the_models_size():
    wide = np.zeros((16, 32, 3))
    wide[:, 8:24, 1] = 1  # the middle is green
    found = pictures.from_url(pictures.as_url(wide), (8, 8, 3))
    assert found.shape == (8, 8, 3)
    inner = found[:, 2:-2]  # the filter is two pixels wide, and sees beyond the cut
    assert (inner == [0, 255, 0]).all()


@pytest.mark.parametrize(
    ("view", "question", "message"),
    [
        ("decode", b"{", "A question is JSON"),
        ("decode", b"[" * 100_000, "A question is JSON"),
        ("decode", b"[1]", "object of: z, given. Received: list"),
        ("decode", {"z": [0] * 4}, r"object of: z, given\. Received: \['z'\]"),
        ("decode", {"z": [0] * 5, "given": {}}, r"has 4 numbers\. Received: \(5,\)"),
        ("decode", {"z": [[0] * 4] * 9, "given": {}}, r"Received: \(9, 4\)"),
        ("decode", {"z": {"a": 1}, "given": {}}, "has 4 numbers"),
        ("decode", b'{"z": [NaN, 0, 0, 0], "given": {}}', "must be finite"),
        ("decode", {"z": [0] * 4, "given": {"label": 3}}, r"none\. Received: label"),
        ("decode", {"z": [0] * 4, "given": 3}, r"here are: none\. Received: 3"),
        ("test", {"index": -1}, r"from 0 to 298\. Received: -1"),
        ("test", {"index": "0"}, "from 0 to 298"),
        ("samples", {"seed": 2**31, "given": {}}, "A seed is a whole number"),
        ("samples", {"seed": True, "given": {}}, "A seed is a whole number"),
    ],
)
def test_bad_questions_are_refused(view, question, message, digits):
    explorer = explored("one layer", digits)
    body = question if isinstance(question, bytes) else json.dumps(question).encode()
    with pytest.raises(ValueError, match=message):
        app.run(getattr(explorer, view), body)


@pytest.mark.slow
@pytest.mark.parametrize("label", [None, -1, 10, 3.0, "3", True])
def test_labels_are_those_of_the_classes(label, digits):
    with pytest.raises(ValueError, match="A label is a number from 0 to 9"):
        explored("labels", digits).samples(0, {"label": label})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"Conditions here are: low\. Received: none"),
        ({"reference": "a"}, r"here are: low\. Received: reference"),
        ({"low": "a"}, "a data URL in base64"),
    ],
)
def test_images_as_conditions_are_checked(given, message, digits):
    with pytest.raises(ValueError, match=message):
        explored("a reference", digits).samples(0, given)


@contextlib.contextmanager
def served(path):
    """The address of the page that the command serves; Ctrl-C ends it cleanly."""
    command = [sys.executable, "-m", "recipes", "explore", str(path), "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        try:
            yield re.search(r"http://\S+:\d+", process.stdout.readline())[0]
        finally:
            process.send_signal(signal.SIGINT)
            _, remarks = process.communicate(timeout=30)
        assert (process.returncode, remarks) == (0, "")


@pytest.fixture(scope="module")
def entry(tmp_path_factory, digits):
    model = configs.conditional_vae()
    path = tmp_path_factory.mktemp("entries") / "tiny"
    return zoo.presets.save(model, path, record(model, digits))


@pytest.fixture(scope="module")
def url(entry):
    with served(entry) as url:
        yield url


def test_the_page_asks_nothing_of_the_internet(url):
    assert url.startswith("http://127.0.0.1:")
    page = requests.get(url, timeout=30).text
    assert "default-src 'self'" in page
    for file in ("", *re.findall(r'(?:src|href)="(\w+\.\w+)"', page)):
        text = requests.get(f"{url}/{file}", timeout=30).text
        assert not re.search(r"""https?:|["'(`]//""", text), file


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("ask/samples", b"{}", 400),
        ("ask/encode", bytes(app.MAX_BODY + 1), 413),
        ("ask/model", b"{}", 404),
        ("ask/__init__", b"{}", 404),
        ("ask/..%2f..%2fcli.py", b"{}", 405),
    ],
)
def test_refusals_are_json(url, path, body, code):
    answer = requests.post(f"{url}/{path}", data=body, timeout=30)
    assert (answer.status_code, list(answer.json())) == (code, ["error"])


@pytest.mark.parametrize("path", ["..%2fapp.py", "%2e%2e/app.py", "%2fetc/passwd"])
def test_no_path_leaves_the_pages_folder(url, path):
    assert requests.get(f"{url}/{path}", timeout=30).status_code == 404


def test_a_busy_port_is_one_clear_line(url, entry):
    port = url.rpartition(":")[2]
    again = CliRunner().invoke(cli.app, ["explore", str(entry), "--port", port])
    assert str(again.exception) == (
        f"Cannot listen: Address already in use. Received: 127.0.0.1:{port}"
    )


@pytest.mark.parametrize("name", ["no_such_entry", "../../etc", "vae_mnist/figures"])
def test_what_is_no_entry_is_refused(name):
    result = CliRunner().invoke(cli.app, ["explore", name, "--port", "0"])
    assert f"No pretrained entry {name!r}" in str(result.exception)


def test_a_missing_group_is_one_clear_line(monkeypatch):
    monkeypatch.delitem(sys.modules, "recipes.explorer.app")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = CliRunner().invoke(cli.app, ["explore", "vae_mnist"])
    assert str(result.exception).endswith("needs: pip install '.[explore]'")


browser = pytest.mark.skipif(not shutil.which("chromium"), reason="no Chromium here")


@browser
def test_the_page_in_a_browser(url):
    look_at(url)


@browser
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["vae_mnist", "ladder_vae_mnist", "conditional_vae_mnist"]
)
def test_the_page_of_a_shipped_entry_in_a_browser(name):
    with served(name) as url:
        look_at(url)


@browser
@pytest.mark.slow
def test_a_reference_is_taken_and_kept_in_a_browser(tmp_path, digits):
    model = MODELS["a reference"]()
    entry = zoo.presets.save(model, tmp_path / "tiny", record(model, digits, False))
    with served(entry) as url, contextlib.closing(Browser(url)) as page:
        page.wait("$('samples').children.length == 40 && $('line').children.length")
        changes(page, ("reference", "low", "seen"), lambda: choose(page, "test", 3))
        own = page.see("$('reference').src")
        draw = partial(page.drag, "$('drawing')", (0.5, 0.2), (0.5, 0.8))
        changes(page, ("seen", "low", "samples"), draw)
        assert "log p(x | low)" in page.see("$('score').textContent")
        changes(
            page,
            ("reference", "reconstruction", "decoded"),
            lambda: page.see("$('refer').click()"),
        )
        changes(page, ("low", "samples"), lambda: choose(page, "test", 5))
        assert page.see("$('reference').src") not in (own, page.see("$('seen').src"))
        assert not page.see("$('error').textContent")
        assert not page.errors


def look_at(url: str) -> None:
    """Moves a slider, draws, chooses class, seed and file; every picture follows."""
    with contextlib.closing(Browser(url)) as page:
        page.wait(
            "$('line').children.length == 9 && $('samples').children.length == 40"
        )
        page.wait("$('decoded').naturalWidth > 0 && $('seen').naturalWidth > 0")
        before, value = page.see("$('decoded').src"), page.see("z.join()")
        slider = "document.querySelector('#sliders input')"
        page.drag(slider, (0.5, 0.5), (0.02, 0.5))
        page.wait(f"$('decoded').src != {json.dumps(before)}")
        assert page.see("z.join()") != value
        changed = {
            "seen": lambda: page.drag("$('drawing')", (0.5, 0.2), (0.5, 0.8)),
            "reconstruction": lambda: page.drag("$('drawing')", (0.2, 0.5), (0.8, 0.5)),
            "samples": lambda: choose(page, "seed", 7),
            "line": lambda: page.see("$('last').click()"),
        }
        if page.see("about.classes"):
            changed["decoded"] = lambda: choose(page, "label", 4)
        for element, change in changed.items():
            changes(page, [element], change)
        before = page.see("$('seen').src")
        upload(page, f"[Uint8Array.from({list(png(8, 8))})]")
        page.wait(f"$('seen').src != {json.dumps(before)}")
        assert "nats" in page.see("$('score').textContent")
        assert not page.see("$('error').textContent")
        upload(page, "['no image']")
        page.wait("$('error').textContent.includes('PNG or JPEG file')")
        upload(page, "[new Uint8Array(5e6)]")
        page.wait("$('error').textContent.includes('Received: 5000000 bytes')")
        choose(page, "seed", -1)
        page.wait("$('error').textContent.includes('A seed is a whole number')")
        assert not page.errors
        assert all(found.startswith((url, "data:")) for found in page.urls)


def changes(page, elements, change) -> None:
    """Does something, and waits until all of the elements look different."""
    shown = [f"($('{name}').src ?? $('{name}').innerHTML)" for name in elements]
    before = [page.see(script) for script in shown]
    change()
    for script, old in zip(shown, before):
        page.wait(f"{script} != {json.dumps(old)}")


def upload(page, parts: str) -> None:
    """Chooses a file of such parts, as a person does in the dialogue."""
    page.see(f"""{{
        const chosen = new DataTransfer();
        chosen.items.add(new File({parts}, "file"));
        $('file').files = chosen.files;
        $('file').dispatchEvent(new Event('change'));
    }}""")


def choose(page, element: str, value: int) -> None:
    page.see(f"$('{element}').value = {value}")
    page.see(f"$('{element}').dispatchEvent(new Event('change'))")
