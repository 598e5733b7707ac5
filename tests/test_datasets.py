"""The data room: real MNIST, digits, TFDS builders, folders and arrays; no network."""

import contextlib
import hashlib
import http.server
import os
import re
import shutil
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from sklearn.datasets import load_sample_images

from recipes import datasets, sources
from tests import configs
from tests.mock_tfds import write_metadata

MNIST_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
FASHION_MNIST = Path(
    os.environ.get("FASHION_MNIST_DIR", sources.LOCAL_COPIES["fashion_mnist"])
)
needs_fashion_mnist = pytest.mark.skipif(
    not FASHION_MNIST.is_dir(),
    reason="needs Debian's dataset-fashion-mnist, or its folder in FASHION_MNIST_DIR",
)


class TinyImages(tfds.core.GeneratorBasedBuilder):
    """A real TFDS data set without labels, validation or test split."""

    VERSION = tfds.core.Version("1.0.0")
    meanwhile = None  # called while the data set is being prepared

    def _info(self):
        image = tfds.features.Image(shape=(6, 4, 1))
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict({"image": image})
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        if self.meanwhile:
            self.meanwhile()
        for index in range(36):
            yield index, {"image": np.full((6, 4, 1), index, np.uint8)}


@pytest.fixture(scope="session")
def mnist():
    return datasets.load("mnist")


@pytest.fixture(scope="session")
def digits():
    return datasets.load("digits")


def numbered(count):
    """Images that name themselves: every pixel of image i is i."""
    return np.tile(np.arange(count, dtype=np.uint8)[:, None, None, None], (1, 2, 2, 1))


def take(images, count, **options):
    stream = datasets.stream(images, 8, seed=3, **options)
    return np.stack(list(stream.take(count).as_numpy_iterator()))


def test_conditions_stay_with_their_images():
    labels = np.arange(20, dtype="int32")
    stream = datasets.stream(numbered(20), 8, seed=3, given={"label": labels})
    plain = take(numbered(20), 2)
    for batch, images in zip(stream.take(2).as_numpy_iterator(), plain):
        np.testing.assert_array_equal(batch["x"], images)
        expected = np.rint(batch["x"][:, 0, 0, 0] * 255)
        np.testing.assert_array_equal(batch["label"], expected)


# MNIST and Fashion-MNIST


@pytest.mark.parametrize("name", MNIST_MD5)
def test_mnist_archives_are_the_official_ones(name):
    archive = (sources.LOCAL_COPIES["mnist"] / name).read_bytes()
    assert hashlib.md5(archive, usedforsecurity=False).hexdigest() == MNIST_MD5[name]


def test_mnist_splits(mnist):
    train = tfds.load("mnist", split="train", download=False, batch_size=-1)
    train = {key: value.numpy() for key, value in train.items()}
    test = tfds.load("mnist", split="test", download=False, batch_size=-1)
    np.testing.assert_array_equal(mnist.train, train["image"][:50_000])
    np.testing.assert_array_equal(mnist.validation, train["image"][50_000:])
    np.testing.assert_array_equal(mnist.test, test["image"])
    np.testing.assert_array_equal(mnist.labels["train"], train["label"][:50_000])
    np.testing.assert_array_equal(mnist.labels["validation"], train["label"][50_000:])
    np.testing.assert_array_equal(mnist.labels["test"], test["label"])
    assert mnist.train.dtype == np.uint8
    assert mnist.train.shape[1:] == (28, 28, 1)
    pixels = train["image"] / np.float32(255)
    assert pixels.mean() == pytest.approx(0.1307, abs=5e-5)
    assert pixels.std() == pytest.approx(0.3081, abs=5e-5)


def test_mnist_is_described(mnist):
    parts = (mnist.train, mnist.validation, mnist.test)
    digest = hashlib.sha256(b"".join(part.tobytes() for part in parts))
    assert mnist.checksum == digest.hexdigest()
    assert (mnist.name, mnist.source) == ("mnist", "TFDS mnist 3.0.1")
    assert mnist.licence == "CC BY-SA 3.0"
    assert mnist.classes == tuple("0123456789")


@pytest.mark.slow
@needs_fashion_mnist
def test_fashion_mnist():
    fashion = datasets.load("fashion_mnist", local_dir=FASHION_MNIST)
    assert fashion.train.shape == (50_000, 28, 28, 1)
    pixels = np.concatenate([fashion.train, fashion.validation])
    assert pixels.mean() / 255 == pytest.approx(0.2860, abs=5e-5)


@needs_fashion_mnist
def test_fashion_mnist_archives_become_the_official_ones(tmp_path):
    for info in sources.find("fashion_mnist").url_infos.values():
        archive = sources._restore_gzip_header(FASHION_MNIST / info.filename, tmp_path)
        assert hashlib.sha256(archive.read_bytes()).hexdigest() == info.checksum


def test_damaged_archive_is_named(tmp_path):
    copy = shutil.copytree(sources.LOCAL_COPIES["mnist"], tmp_path / "copy")
    damaged = copy / "t10k-images-idx3-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match=f"`{re.escape(str(damaged))}` is damaged"):
        datasets.load("mnist", data_dir=tmp_path / "data", local_dir=copy)
    assert not (tmp_path / "data" / "mnist").exists()


def test_images_of_another_set_are_noticed(tmp_path):
    folder = write_metadata("mnist", tmp_path, {"train": 30, "test": 30})
    with (
        tfds.testing.mock_data(num_examples=30, data_dir=str(tmp_path)),
        pytest.raises(RuntimeError, match=f"{re.escape(str(folder))}.*Delete"),
    ):
        datasets.load("mnist", data_dir=tmp_path)


# Other TFDS sets


@pytest.mark.slow
def test_celeb_a_is_resized(tmp_path):
    sizes = {"train": 30, "validation": 30, "test": 30}
    write_metadata("celeb_a", tmp_path, sizes)
    with tfds.testing.mock_data(num_examples=30, data_dir=str(tmp_path)):
        celeb_a = datasets.load("celeb_a", image_size=64, data_dir=tmp_path)
    for split in sizes:
        assert getattr(celeb_a, split).shape == (30, 64, 64, 3)
        assert getattr(celeb_a, split).dtype == np.uint8
        assert celeb_a.labels[split] is None


def test_cifar10(tmp_path):
    write_metadata("cifar10", tmp_path, {"train": 30, "test": 30})
    with tfds.testing.mock_data(num_examples=30, data_dir=str(tmp_path)):
        cifar10 = datasets.load("cifar10:3.0.2", data_dir=tmp_path)
    assert cifar10.train.shape == (25, 32, 32, 3)
    assert cifar10.labels["validation"].shape == (5,)
    assert cifar10.test.shape == (30, 32, 32, 3)
    assert cifar10.licence.startswith("see https://")


def test_missing_splits_are_held_out(tmp_path):
    tiny = datasets.load("tiny_images", data_dir=tmp_path)
    assert [len(tiny.train), len(tiny.validation), len(tiny.test)] == [25, 5, 6]
    assert tiny.labels == {"train": None, "validation": None, "test": None}
    parts = np.concatenate([tiny.train, tiny.validation, tiny.test])
    np.testing.assert_array_equal(np.sort(parts[:, 0, 0, 0]), np.arange(36))
    again = datasets.load("tiny_images", data_dir=tmp_path, image_size=4)
    np.testing.assert_array_equal(again.test, tiny.test[:, 1:5])


def test_a_set_without_a_split_to_train_on_is_refused(tmp_path, monkeypatch):
    generated = TinyImages._generate_examples
    monkeypatch.setattr(
        TinyImages, "_split_generators", lambda self, _: {"test": generated(self)}
    )
    with pytest.raises(ValueError, match=r"to train on\. Received: .*splits: test"):
        datasets.load("tiny_images", data_dir=tmp_path)


def test_classes_that_are_asked_for_must_be_known():
    array = datasets.load(numbered(20))
    with pytest.raises(ValueError, match=r"must have labels\. Received: <Dataset"):
        array.given(configs.conditional_vae(), "train")


def test_two_preparations_at_once(tmp_path):
    first, second = (TinyImages(data_dir=tmp_path) for _ in range(2))
    first.meanwhile = lambda: sources.prepare(second)
    assert sources.prepare(first).info.splits["train"].num_examples == 36
    assert os.listdir(tmp_path / "tiny_images") == ["1.0.0"]
    assert not os.listdir(tmp_path / "downloads")


def test_interrupted_preparation_is_repeated(tmp_path):
    builder = TinyImages(data_dir=tmp_path)

    def interrupt():
        raise KeyboardInterrupt

    builder.meanwhile = interrupt
    with pytest.raises(KeyboardInterrupt):
        sources.prepare(builder)
    assert len(datasets.load("tiny_images", data_dir=tmp_path).train) == 25


def test_unusable_data_dir_is_named(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(RuntimeError, match=f"`{re.escape(str(file))}`.*TFDS_DATA_DIR"):
        datasets.load("mnist", data_dir=file)


def test_no_network_is_said_soon(tmp_path, monkeypatch):
    def hang(*args, **kwargs):
        time.sleep(30)
        raise socket.gaierror("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    start = time.monotonic()
    with pytest.raises(datasets.DatasetUnavailable, match="Load it once with"):
        datasets.load("cifar10", data_dir=tmp_path)
    assert time.monotonic() - start < 10
    assert not os.listdir(tmp_path)


def test_no_network_here(tmp_path):
    url = next(iter(sources.find("cifar10").url_infos))
    if sources.reachable(url):
        pytest.skip("this machine has a network")
    with pytest.raises(datasets.DatasetUnavailable, match=r"cifar-10-binary\.tar\.gz"):
        datasets.load("cifar10", data_dir=tmp_path)


def test_reachable():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(404)

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert sources.reachable(f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        assert not sources.reachable(f"http://127.0.0.1:{port}/", seconds=0.3)


# Digits, folders and arrays


def test_digits(digits):
    assert [len(digits.train), len(digits.validation), len(digits.test)] == [
        1249,
        249,
        299,
    ]
    assert digits.train.shape[1:] == (8, 8, 1)
    assert digits.train.dtype == np.float32
    assert set(np.unique(digits.train)) == {level / 16 for level in range(17)}
    assert len(digits.labels["test"]) == 299
    assert digits.classes == tuple("0123456789")


@pytest.mark.parametrize("count", [1, 100, 249])
def test_fewer_images_are_held_out(digits, count):
    factors = {
        split: np.stack([labels, labels], 1) for split, labels in digits.labels.items()
    }
    digits = replace(digits, factors=factors)
    fewer = digits.holding_out(count)
    joined = np.concatenate([digits.train, digits.validation])
    np.testing.assert_array_equal(fewer.train, joined[:-count])
    np.testing.assert_array_equal(fewer.validation, joined[-count:])
    joined = np.concatenate([digits.labels["train"], digits.labels["validation"]])
    for split, part in {
        "train": joined[:-count],
        "validation": joined[-count:],
    }.items():
        np.testing.assert_array_equal(fewer.labels[split], part)
        np.testing.assert_array_equal(fewer.factors[split][:, 1], part)
    np.testing.assert_array_equal(fewer.labels["test"], digits.labels["test"])
    np.testing.assert_array_equal(fewer.factors["test"], digits.factors["test"])
    assert fewer.checksum == digits.checksum  # of the same images in the same order


def test_fewer_images_without_labels_are_held_out():
    array = datasets.load(numbered(20)).holding_out(1)
    assert [len(array.train), len(array.validation), len(array.test)] == [17, 1, 2]
    assert array.labels == {"train": None, "validation": None, "test": None}


@pytest.mark.parametrize("count", [0, -1, 250])
def test_no_more_and_no_fewer_than_are_held_out(digits, count):
    with pytest.raises(ValueError, match=f"from 1 to 249.*Received: count={count}"):
        digits.holding_out(count)


def test_folder(tmp_path):
    (tmp_path / "deeper").mkdir()
    for index, image in enumerate(numbered(20)):
        name = f"deeper/{index:02}.PNG" if index % 2 else f"{index:02}.png"
        (tmp_path / name).write_bytes(tf.io.encode_png(image).numpy())
    (tmp_path / "._00.png").write_bytes(b"what macOS leaves beside a copied file")
    folder = datasets.load(tmp_path)
    assert folder.labels["train"] is None  # as not all images are in a subfolder
    assert folder.train.shape == (16, 2, 2, 1)
    assert folder.validation.shape == folder.test.shape == (2, 2, 2, 1)
    parts = np.concatenate([folder.train, folder.validation, folder.test])
    np.testing.assert_array_equal(np.sort(parts[:, 0, 0, 0]), np.arange(20))
    assert datasets.load(str(tmp_path)).checksum == folder.checksum
    jpeg = tf.io.encode_jpeg(np.full((9, 5, 3), (200, 0, 0), np.uint8))
    (tmp_path / "red.jpg").write_bytes(jpeg.numpy())
    with pytest.raises(ValueError, match=r"`image_size`.*Received: image_size=None"):
        datasets.load(tmp_path)
    assert datasets.load(tmp_path, image_size=3).train.shape == (17, 3, 3, 3)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ValueError, match=r"text\.png` is not a readable image"):
        datasets.load(tmp_path)


def test_array():
    images = np.linspace(0, 1, 20 * 6 * 4).reshape(20, 6, 4)
    array = datasets.load(images)
    assert array.train.shape == (16, 6, 4, 1)
    assert array.train.dtype == np.float32
    small = datasets.load(images, image_size=2)
    assert small.train.shape == (16, 2, 2, 1)
    np.testing.assert_allclose(small.train.mean(), array.train.mean(), atol=1e-3)


def test_a_data_set_is_shown_on_one_line(mnist):
    assert repr(mnist) == (
        "<Dataset mnist: 50000 train, 10000 validation, 10000 test, uint8 (28, 28, 1), "
        "10 classes (0, 1, 2, ...), licence CC BY-SA 3.0>"
    )
    few, labels = numbered(20), np.arange(20) % 4
    counts = "<Dataset array: 16 train, 2 validation, 2 test, uint8 (2, 2, 1), "
    assert repr(datasets.load(few)) == f"{counts}no labels, licence unknown>"
    assert (
        repr(datasets.load(few, labels=labels))
        == f"{counts}4 classes, licence unknown>"
    )


def test_labels_of_an_array_stay_with_their_images():
    images, labels = numbered(20), np.arange(20) % 3
    array = datasets.load(images, labels=labels)
    plain = datasets.load(images)
    for split in ("train", "validation", "test"):
        shuffled = getattr(array, split)
        np.testing.assert_array_equal(shuffled, getattr(plain, split))
        np.testing.assert_array_equal(array.labels[split], shuffled[:, 0, 0, 0] % 3)
    assert array.checksum == plain.checksum
    assert array.classes is None
    listed = datasets.load(images, labels=labels.tolist()).labels["test"]
    np.testing.assert_array_equal(listed, array.labels["test"])
    model = configs.conditional_vae()
    np.testing.assert_array_equal(
        array.given(model, "test")["label"], array.labels["test"]
    )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.eye(20), r"`labels.argmax\(axis=1\)`.*labels.shape=\(20, 20\)"),
        (np.zeros((20, 1), int), r"`labels\[:, 0\]`.*labels.shape=\(20, 1\)"),
        (np.zeros(20), r"labels.dtype=float64"),
        (np.zeros(19, int), r"labels.shape=\(19,\), .*, 20 images"),
        (["cat"] * 20, r"`np.unique\(labels, return_inverse=True\)\[1\]`"),
    ],
)
def test_labels_that_are_not_one_number_each(labels, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(numbered(20), labels=labels)


def test_labels_go_with_arrays_alone(tmp_path):
    for source in ("mnist", tmp_path):
        with pytest.raises(ValueError, match=r"for an array of images.*Received"):
            datasets.load(source, labels=np.zeros(3, int))


def test_subfolders_are_classes(tmp_path):
    """As Keras' own `image_dataset_from_directory` reads them."""
    for index, image in enumerate(numbered(20)):
        file = tmp_path / ("owl", "Cat", "dog")[index % 3] / "more" / f"{index:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(tf.io.encode_png(image).numpy())
    for hidden in (".thumbnails/00.png", "dog/._00.png"):
        (tmp_path / hidden).parent.mkdir(exist_ok=True)
        (tmp_path / hidden).write_bytes(b"what a file manager leaves behind")
    folder = datasets.load(tmp_path)
    assert folder.classes == ("Cat", "dog", "owl")
    assert "3 classes (Cat, dog, owl)" in repr(folder)
    assert folder.train.shape == (16, 2, 2, 1)
    for split in ("train", "validation", "test"):
        expected = np.array([2, 0, 1])[getattr(folder, split)[:, 0, 0, 0] % 3]
        np.testing.assert_array_equal(folder.labels[split], expected)
    for hidden in (".thumbnails/00.png", "dog/._00.png"):
        (tmp_path / hidden).unlink()
    (tmp_path / ".thumbnails").rmdir()
    keras_reads = keras.utils.image_dataset_from_directory(tmp_path, verbose=False)
    assert tuple(keras_reads.class_names) == folder.classes


@pytest.mark.parametrize("splits", [("train", "test"), ("Training", "Testing")])
def test_subfolders_that_are_splits_are_no_classes(splits, tmp_path):
    for index, image in enumerate(numbered(4)):
        file = tmp_path / splits[index % 2] / f"{index}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(tf.io.encode_png(image).numpy())
    with pytest.raises(ValueError, match=r"one split.*Received: a folder of [Tt]est"):
        datasets.load(tmp_path)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((4, 2, 2), np.nan), "Received: values from nan to nan"),
        (np.full((4, 2, 2), 1.5), "Received: values from 1.5 to 1.5"),
        (np.full((4, 2, 2), -0.5), "Received: values from -0.5 to -0.5"),
        (np.zeros((4, 2, 2), np.int64), "Received: images.dtype=int64"),
        (np.zeros((4, 2)), r"Received: images.shape=\(4, 2\)"),
        (np.zeros((0, 2, 2)), r"Received: images.shape=\(0, 2, 2\)"),
        (np.zeros((2, 2, 2)), r"at least 3.*images.shape=\(2, 2, 2, 1\)"),
    ],
)
def test_bad_arrays(images, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(images)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "fashion_mnits",
            "Did you mean fashion_mnist.*Received: source='fashion_mnits'",
        ),
        ("no such folder/", "Received: source='no such folder/'"),
        ("mnist:9.9.9", "Received: source='mnist:9.9.9'"),
        ("iris", "an 'image' feature. Received: source='iris'"),
        ("cats_vs_dogs", "`image_size` must be given.*source='cats_vs_dogs'"),
        (Path("no/such/folder"), "png or jpg images. Received: no/such/folder"),
    ],
)
def test_bad_names(source, message, tmp_path):
    start = time.monotonic()
    with pytest.raises(ValueError, match=message):
        datasets.load(source, data_dir=tmp_path)
    assert time.monotonic() - start < 2


def test_bad_types():
    with pytest.raises(TypeError, match="Received: source of type list"):
        datasets.load([1, 2])
    with pytest.raises(ValueError, match="Received: image_size=0"):
        datasets.load("digits", image_size=0)


# Streams and batches


@pytest.mark.parametrize("binarise", [False, True])
def test_stream_repeats_and_resumes(mnist, binarise):
    images = mnist.test[:100]
    steps = datasets.steps_per_epoch(images, 8)
    assert steps == 12
    batches = take(images, 3 * steps, binarise=binarise)
    assert batches.shape == (36, 8, 28, 28, 1)
    assert batches.dtype == np.float32
    np.testing.assert_array_equal(batches, take(images, 36, binarise=binarise))
    resumed = take(images, steps, binarise=binarise, start_epoch=2)
    np.testing.assert_array_equal(batches[2 * steps :], resumed)
    other = datasets.stream(images, 8, seed=4, binarise=binarise)
    assert (next(iter(other)).numpy() != batches[0]).any()


def test_stream_is_static():
    spec = datasets.stream(numbered(20), 8, seed=0, binarise=True).element_spec
    assert spec == tf.TensorSpec([8, 2, 2, 1], tf.float32)


def test_each_epoch_is_a_permutation():
    epochs = np.rint(take(numbered(24), 9) * 255).reshape(3, 24, 4)[..., 0]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(24))
    assert len({tuple(epoch) for epoch in epochs}) == 3
    with_remainder = np.rint(take(numbered(27), 3) * 255)[..., 0, 0, 0]
    assert len(np.unique(with_remainder)) == 24


def test_binary_draws_are_new_and_fair():
    levels = np.array([0, 51, 128, 255], np.uint8).reshape(1, 2, 2, 1)
    draws = take(np.tile(levels, (8, 1, 1, 1)), 2000, binarise=True)
    assert set(np.unique(draws)) == {0.0, 1.0}
    means = draws.mean(axis=(0, 1)).ravel()
    assert means[0] == 0
    assert means[3] == 1
    np.testing.assert_allclose(means, levels.ravel() / 255, atol=0.02)
    grey = draws[:, :, 0, 1, 0]
    assert len({row.tobytes() for row in grey[:20]}) > 10


@pytest.mark.slow
def test_stream_from_disk_repeats_and_visits_every_image(tmp_path):
    TinyImages(data_dir=tmp_path).download_and_prepare()  # 36 images, named by value

    def take(count, **options):
        stream = datasets.stream_from_disk(
            "tiny_images", 6, **{"seed": 3, "data_dir": tmp_path, **options}
        )
        assert stream.element_spec.shape[0] == 6
        return np.stack(list(stream.take(count).as_numpy_iterator()))

    batches = take(12)
    assert batches.dtype == np.float32
    np.testing.assert_array_equal(batches, take(12))
    assert (batches != take(12, seed=4)).any()
    first, second = np.rint(255 * batches[..., 0, 0, 0]).reshape(2, 36)
    np.testing.assert_array_equal(np.sort(first), np.arange(36))
    np.testing.assert_array_equal(np.sort(second), np.arange(36))
    assert (first != second).any()
    assert take(1, image_size=8).shape == (1, 6, 8, 8, 1)
    binary = take(200, binarise=True)
    assert set(np.unique(binary)) == {0.0, 1.0}
    assert binary.mean() == pytest.approx(17.5 / 255, abs=0.005)
    ink = binary[: 6 * 33].reshape(33, 36, -1).sum((1, 2))  # of every epoch
    assert len(set(ink)) > 5  # the same images, drawn anew


def test_stream_from_disk_is_mnist(mnist):
    stream = datasets.stream_from_disk("mnist", 1000, seed=0, split="train[:5000]")
    images = np.concatenate(list(stream.take(5).as_numpy_iterator()))
    ink, expected = (
        np.rint(255 * x).sum((1, 2, 3)) for x in (images, mnist.train[:5000] / 255)
    )
    np.testing.assert_array_equal(np.sort(ink), np.sort(expected))
    assert (ink != expected).any()


def test_batches_keep_order_and_remainder(digits):
    batches = list(datasets.batches(numbered(20), 8).as_numpy_iterator())
    assert [len(batch) for batch in batches] == [8, 8, 4]
    np.testing.assert_array_equal(
        np.concatenate(batches), numbered(20).astype(np.float32) / 255
    )
    assert len(datasets.batches(numbered(20), 8)) == 3
    floats = np.concatenate(list(datasets.batches(digits.test, 100)))
    np.testing.assert_array_equal(floats, digits.test)


def test_binarise_takes_the_images_of_a_data_set(mnist):
    with pytest.raises(ValueError, match=r"such as `.train`.*Received: Dataset"):
        datasets.binarise(mnist)


def test_binarise_is_fixed(mnist):
    images = mnist.test[:2500]
    binary = datasets.binarise(images)
    assert binary.dtype == np.float32
    assert set(np.unique(binary)) == {0.0, 1.0}
    np.testing.assert_array_equal(binary[:10], datasets.binarise(images[:10]))
    assert (binary != datasets.binarise(images, seed=1)).any()
    assert binary.mean() == pytest.approx(images.mean() / 255, abs=1e-3)
    levels = np.full((1, 2, 4, 1), 128, np.uint8)
    assert datasets.binarise(levels).ravel().tolist() == [0, 0, 0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: datasets.stream(x, 21, seed=0), "batch_size=21, images.shape"),
        (
            lambda x: datasets.stream(x, 8, seed=0, given={"label": x[:3, 0, 0, 0]}),
            "20 rows, one for each image. Received: 3 of `label`",
        ),
        (lambda x: datasets.batches(x, 0), "Received: batch_size=0"),
        (
            lambda x: datasets.stream_from_disk("mnist", 0, seed=0),
            "Received: batch_size=0",
        ),
        (
            lambda x: datasets.stream_from_disk("mnist", 8, seed=0, image_size=0),
            "Received: image_size=0",
        ),
        (lambda x: datasets.binarise(x[0]), r"Received: images.shape=\(2, 2, 1\)"),
        (
            lambda x: datasets.stream(x, 8, seed=0, start_epoch=-1),
            "Received: start_epoch=-1",
        ),
    ],
)
def test_bad_batches(call, message):
    with pytest.raises(ValueError, match=message):
        call(numbered(20))


def test_patches_of_one_photograph_are_tested_on_the_other():
    data, (first, other) = datasets.load("photo_patches"), load_sample_images().images
    assert data.train.shape == (41 * 77, 32, 32, 3)
    np.testing.assert_array_equal(data.train[78], first[8:40, 8:40])
    np.testing.assert_array_equal(data.test[21], other[32:64, 32:64])
    lower = first[len(first) * 5 // 6 :]  # below every training patch
    np.testing.assert_array_equal(data.validation[0], lower[:32, :32])
    assert datasets.load("photo_patches", image_size=16).test.shape[1:] == (16, 16, 3)
    with pytest.raises(ValueError, match=r"at most 72\. Received: 80"):
        datasets.load("photo_patches", image_size=80)
