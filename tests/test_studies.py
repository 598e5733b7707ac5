"""The studies among the recipes, at toy size: they run and write what they promise."""

import dataclasses
import json

import pytest

import zoo
from recipes import cli, datasets
from recipes.entries import (
    ablations_mnist,
    iaf_targets,
    iaf_toy,
    likelihoods_mnist,
    reduction,
    sigma_vaes_mnist,
)
from recipes.runs import Run


@pytest.fixture(scope="module")
def small():
    mnist = datasets.load("mnist")
    labels = {"train": mnist.labels["train"][:400], "test": mnist.labels["test"][:200]}
    return dataclasses.replace(
        mnist, train=mnist.train[:400], test=mnist.test[:200], labels=labels
    )


@pytest.fixture(autouse=True)
def toy_sizes(monkeypatch, small):
    monkeypatch.setattr(datasets, "load", lambda name: small)
    kept = "anisotropic prior"
    for module, name, value in (
        (iaf_toy, "SEEDS", 1),
        (iaf_targets, "STEPS", 10),
        (iaf_targets, "FORMS", {"plain": False}),
        (sigma_vaes_mnist, "SIGMAS", ("per_pixel",)),
        (reduction, "DIMENSIONS", (2,)),
        (reduction, "DATA", ("mnist",)),
        (
            likelihoods_mnist,
            "LIKELIHOODS",
            {"mass": {"logistics": lambda: zoo.DiscretisedLogistic(16, 2)}},
        ),
        (ablations_mnist, "NUM_SAMPLES", 2),
        (ablations_mnist, "MODELS", {kept: ablations_mnist.MODELS[kept]}),
    ):
        monkeypatch.setattr(module, name, value)


@pytest.mark.parametrize(
    "name",
    [
        "ablations_mnist",
        "iaf_targets",
        "iaf_toy",
        "likelihoods_mnist",
        "reduction",
        "sigma_vaes_mnist",
    ],
)
def test_a_study_leaves_its_numbers_and_a_picture(name, tmp_path):
    cli.load_recipe(name).train(Run(name, tmp_path, epochs=1, seed=0))
    assert json.loads((tmp_path / "results.json").read_text())
    (picture,) = (tmp_path / "figures").glob("*.png")
    assert picture.stat().st_size > 10_000
