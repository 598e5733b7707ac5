"""Whatever a method is given: what it refuses, it refuses in the zoo's own words."""

import math
import traceback
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests import configs
from zoo import Field

ROWS = 8
MODELS = {
    "VAE": (configs.build, {"x": configs.BINARY}),
    "ConditionalVAE": (
        configs.conditional_vae,
        {"x": configs.BINARY, "label": configs.LABELS},
    ),
    "M2": (
        configs.semi_supervised_vae,
        {"x": configs.BINARY, "label": configs.LABELS},
    ),
    "RefVAE": (configs.ref_vae, configs.TRIPLES),
    "Glow": (configs.glow, {"x": configs.GREY}),
    "PixelCNN": (configs.pixelcnn, {"x": configs.CODES}),
}


@pytest.fixture(scope="module", params=MODELS)
def case(request):
    """A compiled model and data that it takes."""
    build, data = MODELS[request.param]
    model = build()
    model.compile("adam", jit_compile=False)
    return model, {name: rows[:ROWS] for name, rows in data.items()}


NO_ARRAYS = {
    "number": 1.5,
    "nothing": None,
    "word": "images",
    "object": object(),
    "function": len,
    "lists of several lengths": [[1.0], [1.0, 2.0]],
}


def wrong(field: Field, good: np.ndarray) -> dict:
    """What is no such field, by what is wrong with it; `good` are rows of it."""
    label = not field.shape
    kinds = {
        "one row": good[0],
        "fewer axes": good[0, ..., 0] if not label else good[0],
        "column": good[..., None],
        "width": np.eye(10)[good] if label else good[:, :1],
        "dtype": good.astype("float32" if field.dtype == "int32" else "int32"),
        "complex": good.astype("complex64"),
        "words": np.array(["a"] * ROWS),
        "objects": np.array([None] * ROWS),
        "NaN": np.full(good.shape, np.nan, "float32"),
        "empty": good[:0],
        "symbolic": keras.Input(good.shape[1:], dtype=good.dtype.name),
        "data set": tf.data.Dataset.from_tensor_slices(good).batch(4),
        "data set of rows": tf.data.Dataset.from_tensor_slices(good),
        **NO_ARRAYS,
    }
    if math.isfinite(field.support[1]):
        kinds["support"] = good + np.ones_like(good) * 10
    return kinds


def unclear(use) -> str | None:
    """How else `use` ends than with an error of ours that says what was received."""
    try:
        use()
    except Exception as error:
        file = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
        ours = file.is_relative_to(Path(zoo.__file__).parent)
        good = ours and isinstance(error, ValueError) and "Received: " in str(error)
        return None if good else repr(error)
    return "no error"


def assert_all_refused(use, kinds: dict, right=()) -> None:
    refused = {kind: x for kind, x in kinds.items() if kind not in right}
    found = {kind: unclear(partial(use, x)) for kind, x in refused.items()}
    assert not {kind: text for kind, text in found.items() if text}


SILENT = {"verbose": 0}
TAKE_DATA_SETS = ("fit", "fit validation", "evaluate", "predict")
METHODS = {
    "log_prob": lambda model, data, _: model.log_prob(data),
    "log_weights": lambda model, data, _: model.log_weights(data),
    "encode": lambda model, data, _: model.encode(data),
    "reconstruct": lambda model, data, _: model.reconstruct(data),
    "interpolate": lambda model, data, good: model.interpolate(data, good["x"]),
    "fit": lambda model, data, _: model.fit(data, **SILENT),
    "fit validation": lambda model, data, good: model.fit(
        good, validation_data=data, **SILENT
    ),
    "evaluate": lambda model, data, _: model.evaluate(data, **SILENT),
    "predict": lambda model, data, _: model.predict(data, **SILENT),
    "train_on_batch": lambda model, data, _: model.train_on_batch(data),
    "test_on_batch": lambda model, data, _: model.test_on_batch(data),
    "predict_on_batch": lambda model, data, _: model.predict_on_batch(data),
    "evaluation.log_prob": lambda model, data, _: zoo.evaluation.log_prob(
        model, data, **SILENT
    ),
    "evaluation.encode": lambda model, data, _: zoo.evaluation.encode(model, data),
    "evaluation.information": lambda model, data, _: zoo.evaluation.information(
        model, data
    ),
}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_says_what_it_received(case, method):
    model, good = case
    if method == "log_weights" and not hasattr(model, method):
        return  # a model without latents
    right = {"nothing"} if method == "fit validation" else set()
    if method in TAKE_DATA_SETS or method.startswith("evaluation."):
        right |= {"data set"}

    def use(data):
        return METHODS[method](model, data, good)

    for name, rows in good.items():
        kinds = wrong(model.fields[name], rows)
        parts = {kind: {**good, name: x} for kind, x in kinds.items()}
        assert_all_refused(use, parts, right if len(good) == 1 else ())
    if len(good) == 1:
        assert_all_refused(use, kinds, right)
    assert model.step == 0


def test_so_do_those_that_make_images(case):
    model, good = case
    given = {name: good[name] for name in model.given_fields}
    if hasattr(model, "latent_dim"):
        z = np.zeros((ROWS, model.latent_dim), "float32")
        (field,) = model.latent_fields.values()
        # Of codes there may be several axes of rows, and lists and whole numbers.
        kinds = wrong(field, z)
        assert_all_refused(lambda z: model.decode(z, given=given), kinds)
    for name, rows in given.items():
        kinds = wrong(model.given_fields[name], rows)
        for use in (
            lambda given: model.decode(z, given=given),
            lambda given: model.sample(ROWS, given),
        ):
            parts = {kind: {**given, name: x} for kind, x in kinds.items()}
            assert_all_refused(use, parts)
            assert_all_refused(use, kinds)
    counts = {"zero": 0, "array": good["x"], **NO_ARRAYS}
    seeds = {"rank": np.zeros([ROWS, 2], "int32"), **NO_ARRAYS}
    del seeds["lists of several lengths"]
    assert_all_refused(lambda n: model.sample(n, given), counts)
    seeds["others than rows"] = [5, 7]
    assert_all_refused(lambda seed: model.sample(ROWS, given, seed=seed), seeds)
    unknown = {"unknown": {**given, "colour": good["x"]}}
    assert_all_refused(lambda given: model.sample(ROWS, given), unknown)


def test_so_do_export_and_compile(case):
    model, good = case
    kinds = {"array": good["x"], **NO_ARRAYS}
    del kinds["word"]  # which is a path, or an optimiser's name
    assert_all_refused(model.export, kinds)
    assert_all_refused(model.compile, kinds)
    del kinds["nothing"]
    assert_all_refused(lambda loss: model.compile("adam", loss=loss), kinds)
    steps = {"zero": 0, "word": "all", **kinds}
    assert_all_refused(lambda n: model.compile(steps_per_execution=n), steps)


# What may be mended says how.


def test_labels_of_other_shapes_say_how_to_mend_them():
    model, labels = configs.conditional_vae(), configs.LABELS[:ROWS]
    for other, hint in (
        (np.eye(10)[labels], r"`label\.argmax\(axis=1\)`\. Received: shape=\(8, 10\)"),
        (labels[:, None], r"`label\[:, 0\]`\. Received: shape=\(8, 1\)"),
        (labels.astype("float32"), r"`label\.astype\('int32'\)`\. Received: .*float32"),
    ):
        for use in (
            lambda label: model.encode(configs.BINARY[:ROWS], {"label": label}),
            lambda label: model.sample(ROWS, {"label": label}),
        ):
            with pytest.raises(ValueError, match=hint):
                use(other)


def test_a_missing_batch_axis_says_how_to_add_it(vae, digits):
    one_by_one = tf.data.Dataset.from_tensor_slices(digits)
    for use, data in (
        (vae.fit, digits[0]),
        (vae.encode, digits[0]),
        (vae.fit, one_by_one),
        (lambda x: zoo.evaluation.encode(vae, x), one_by_one),
    ):
        with pytest.raises(ValueError, match=r"`x\[None\]`; .*`\.batch\(128\)`\. Rec"):
            use(data)


@pytest.mark.parametrize(
    "cls", [zoo.NVAE, zoo.VLAE, zoo.BIVA, zoo.VQVAE, zoo.Glow, zoo.PixelCNN]
)
def test_networks_where_a_shape_is_wanted(cls):
    encoder, decoder = (make(configs.IMAGE) for make in configs.NETWORKS["dense"])
    for make in (
        lambda: cls(encoder, decoder, latent_dim=4),
        lambda: cls(encoder, decoder, 4),
        lambda: cls(encoder=encoder, decoder=decoder, latent_dim=4),
    ):
        wanted = rf"{cls.__name__} makes its networks itself.*shape`.*Received: <Sequ"
        with pytest.raises(ValueError, match=wanted):
            make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: zoo.NVAE(28),
        lambda: zoo.NVAE((28, 28)),
        lambda: zoo.VLAE(28, (2,), (4,)),
        lambda: zoo.BIVA(28, (2,), (1,), 3),
        lambda: zoo.VQVAE((28, 28)),
        lambda: zoo.Glow((28, 28)),
        lambda: zoo.PixelCNN(7, levels=5),
    ],
)
def test_a_size_where_a_shape_is_wanted(make):
    with pytest.raises(ValueError, match=r"shape is .*Received: (7|28|\(28, 28\))$"):
        make()
