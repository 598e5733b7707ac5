"""What super-resolution is trained on and judged by."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from recipes import datasets, pipelines, super_resolution
from tests.configs import TRIPLES, ref_vae


def test_small_images_are_means_of_areas(rng):
    images = rng.integers(0, 256, (5, 8, 12, 3)).astype("uint8")
    small = pipelines.downscale(images, (2, 3))
    expected = tf.image.resize(images / 255, (2, 3), "area")
    assert small.dtype == np.float32
    np.testing.assert_allclose(small, expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"must divide .* Received: size=\(3, 3\)"):
        pipelines.downscale(images, (3, 3))


def test_a_reference_is_another_image_of_the_class_and_each_is_one(rng):
    classes = rng.integers(0, 4, 50)
    others = pipelines.partners(classes)
    np.testing.assert_array_equal(classes[others], classes)
    assert (others != np.arange(50)).all()
    np.testing.assert_array_equal(np.sort(others), np.arange(50))
    np.testing.assert_array_equal(others, pipelines.partners(classes))
    with pytest.raises(ValueError, match=r"two rows each\. Received: one 7"):
        pipelines.partners(np.int32([1, 7, 1]))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_model_is_told_small_images_and_references(split):
    data, model = datasets.load("digits"), ref_vae()
    images, labels = getattr(data, split), data.labels[split]
    told = data.given(model, split, 20)
    small = images[:20].reshape(20, 2, 4, 2, 4, 1).mean(axis=(2, 4))
    np.testing.assert_allclose(told["low"], small, atol=1e-6)
    for image, label, reference in zip(images, labels, told["reference"]):
        same = (images == reference).all(axis=(1, 2, 3))
        assert label in labels[same]
        assert not np.array_equal(image, reference)
    whole = data.given(model, split)["reference"]
    np.testing.assert_array_equal(told["reference"], whole[:20])
    without = dataclasses.replace(data, labels=dict.fromkeys(data.labels))
    assert without.given(model, split)["reference"].shape == images.shape


def test_a_stream_keeps_images_and_their_conditions_together():
    given = {name: TRIPLES[name] for name in ("low", "reference")}
    stream = datasets.stream(TRIPLES["x"], 64, seed=1, given=given)
    batch = next(stream.as_numpy_iterator())
    small = batch["x"].reshape(64, 2, 4, 2, 4, 1).mean(axis=(2, 4))
    np.testing.assert_allclose(batch["low"], small, atol=1e-6)


def test_a_new_model_is_as_good_as_bicubic_and_without_variety(monkeypatch):
    """Digits of 16 x 16 pixels, as SSIM looks at windows of 11 x 11."""
    monkeypatch.setattr(super_resolution, "BATCH", 5)
    x = TRIPLES["x"][:12].repeat(2, axis=1).repeat(2, axis=2)
    given = {"low": pipelines.downscale(x, (4, 4)), "reference": x[::-1]}
    found = super_resolution.judge(ref_vae(shape=(16, 16, 1)), x, given, draws=3)
    values = {name: row["value"] for name, row in found.items()}
    large = np.clip(tf.image.resize(given["low"], (16, 16), "bicubic"), 0, 1)
    psnr = -10 * np.log10(((large - x) ** 2).mean(axis=(1, 2, 3))).mean()
    gap = np.abs(large.reshape(12, 4, 4, 4, 4, 1).mean(axis=(2, 4)) - given["low"])
    for kind in ("reference", "sampled", "bicubic"):
        assert values[f"psnr_{kind}"] == pytest.approx(psnr, rel=1e-5)
        assert values[f"low_error_{kind}"] == pytest.approx(gap.mean(), rel=1e-4)
        ssim = values[f"ssim_{kind}"]
        assert ssim == pytest.approx(values["ssim_bicubic"], rel=1e-4)
        assert 0 < ssim < 1
    assert values["diversity"] == pytest.approx(0, abs=1e-6)
    assert found["diversity"]["protocol"] == "3 z from the prior, 12 test images"
