"""The recipe of faces, on CelebA as TFDS describes it, filled with its mock images."""

import functools

import pytest
import tensorflow_datasets as tfds

import zoo
from recipes import datasets, publish
from recipes.entries import vaes_celeb_a
from recipes.runs import Run
from tests.mock_tfds import write_metadata


@pytest.mark.slow
def test_each_model_of_faces_becomes_an_entry_that_finds_its_images(
    tmp_path, monkeypatch
):
    for name, value in (
        ("FILTERS", (2, 2)),
        ("UNITS", 4),
        ("LATENT_DIMS", (3,)),
        ("BATCH_SIZE", 10),
    ):
        monkeypatch.setattr(vaes_celeb_a, name, value)
    write_metadata(
        "celeb_a", tmp_path, dict.fromkeys(("train", "validation", "test"), 30)
    )
    load = functools.partial(datasets.load, data_dir=tmp_path)
    monkeypatch.setattr(datasets, "load", load)
    run = Run("vaes_celeb_a", tmp_path / "run", 1, 0, num_importance_samples=2)
    with tfds.testing.mock_data(num_examples=30, data_dir=str(tmp_path)):
        vaes_celeb_a.train(run)
        for kind, (cls, _) in vaes_celeb_a.MODELS.items():
            name = f"{kind}_3_celeb_a"
            entry = run.folder / name / name
            model, record = zoo.load(entry), zoo.presets.read_metadata(entry)
            assert type(model) is cls
            assert record["recipe"] == run.name
            data, images = publish.test_images(record)
            assert images.shape == (30, 64, 64, 3)
            found = publish.check(model, data, images)
            assert found == pytest.approx(record["check"], rel=1e-5)  # order of sums
