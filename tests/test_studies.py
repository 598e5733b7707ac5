"""The studies among the recipes, at toy size: they run and write what they promise."""

import dataclasses
import functools
import json

import pytest
from PIL import Image

import zoo
from recipes import cli, datasets
from recipes.entries import (
    compare_anomaly_scores,
    compare_betas_mnist,
    compare_disentanglement_sprites,
    compare_likelihoods_mnist,
    compare_networks_mnist,
    compare_objectives_mnist,
    compare_posteriors_toy,
    compare_reductions,
    compare_sigmas_mnist,
    compare_super_resolution,
    fit_iaf_toy,
)
from recipes.runs import Run


@pytest.fixture(scope="module")
def small():
    mnist = datasets.load("mnist")
    labels = {"train": mnist.labels["train"][:400], "test": mnist.labels["test"][:200]}
    return dataclasses.replace(
        mnist, train=mnist.train[:400], test=mnist.test[:200], labels=labels
    )


@functools.cache
def sprites(load):
    data = load("sprites")
    splits = {"train": 400, "test": 200}
    few = {name: getattr(data, name)[:count] for name, count in splits.items()}
    factors = {name: data.factors[name][:count] for name, count in splits.items()}
    return dataclasses.replace(data, **few, factors=factors)


@pytest.fixture(autouse=True)
def toy_sizes(monkeypatch, small):
    full = datasets.load

    def load(name):
        return sprites(full) if name == "sprites" else small

    monkeypatch.setattr(datasets, "load", load)
    kept = {"anisotropic prior": compare_objectives_mnist.MODELS["anisotropic prior"]}
    for module, name, value in (
        (compare_anomaly_scores, "IMAGES", 20),
        (compare_anomaly_scores, "NUM_IMPORTANCE_SAMPLES", 2),
        (
            compare_anomaly_scores,
            "MODELS",
            {"ladder": compare_anomaly_scores.MODELS["ladder"]},
        ),
        (compare_disentanglement_sprites, "SEEDS", 1),
        (
            compare_disentanglement_sprites,
            "MODELS",
            {"VAE": compare_disentanglement_sprites.MODELS["VAE"]},
        ),
        (compare_betas_mnist, "LATENT_DIMS", (3,)),
        (compare_betas_mnist, "BETAS", (1.0, 4.0)),
        (compare_networks_mnist, "NUM_IMPORTANCE_SAMPLES", 2),
        (compare_posteriors_toy, "SEEDS", 1),
        (fit_iaf_toy, "STEPS", 10),
        (fit_iaf_toy, "FORMS", {"plain": False}),
        (compare_sigmas_mnist, "SIGMAS", ("per_pixel",)),
        (compare_super_resolution, "DATA", {"mnist": (4, 1)}),
        (compare_reductions, "DIMENSIONS", (2,)),
        (compare_reductions, "DATA", ("mnist",)),
        (
            compare_likelihoods_mnist,
            "LIKELIHOODS",
            {"mass": {"logistics": lambda: zoo.DiscretisedLogistic(16, 2)}},
        ),
        (compare_objectives_mnist, "NUM_IMPORTANCE_SAMPLES", 2),
        (compare_objectives_mnist, "MODELS", kept),
    ):
        monkeypatch.setattr(module, name, value)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("compare_anomaly_scores", marks=pytest.mark.slow),
        pytest.param("compare_disentanglement_sprites", marks=pytest.mark.slow),
        pytest.param("compare_betas_mnist", marks=pytest.mark.slow),
        pytest.param("compare_networks_mnist", marks=pytest.mark.slow),
        pytest.param("compare_objectives_mnist", marks=pytest.mark.slow),
        pytest.param("fit_iaf_toy", marks=pytest.mark.slow),
        pytest.param("compare_posteriors_toy", marks=pytest.mark.slow),
        pytest.param("compare_likelihoods_mnist", marks=pytest.mark.slow),
        pytest.param("compare_reductions", marks=pytest.mark.slow),
        pytest.param("compare_sigmas_mnist", marks=pytest.mark.slow),
        pytest.param("compare_super_resolution", marks=pytest.mark.slow),
    ],
)
def test_a_study_leaves_its_numbers_and_pictures(name, tmp_path):
    cli.load_recipe(name).train(Run(name, tmp_path, epochs=1, seed=0))
    assert json.loads((tmp_path / "results.json").read_text())
    pictures = list((tmp_path / "figures").glob("*.png"))
    assert pictures
    for picture in pictures:
        with Image.open(picture) as pixels:
            assert len(pixels.getcolors(1 << 24)) > 20  # something is drawn


@pytest.mark.slow
def test_a_killed_study_goes_on_with_the_next_model(tmp_path, monkeypatch):
    study, seeds = compare_disentanglement_sprites, []

    def untrained(objective, images, seed, epochs):
        seeds.append(seed)
        if seeds == [0, 1]:
            raise KeyboardInterrupt
        encoder = zoo.networks.dense_encoder((32, 32, 1), (8,))
        decoder = zoo.networks.dense_decoder(2, (32, 32, 1), (8,))
        return zoo.VAE(encoder, decoder, 2)

    monkeypatch.setattr(study, "SEEDS", 2)
    monkeypatch.setattr(study, "fit", untrained)
    run = Run("compare_disentanglement_sprites", tmp_path, epochs=1, seed=0)
    with pytest.raises(KeyboardInterrupt):
        study.train(run)
    (first,) = json.loads((tmp_path / "results.json").read_text())
    study.train(run)
    assert seeds == [0, 1, 1]
    rows = json.loads((tmp_path / "results.json").read_text())
    assert [row["seed"] for row in rows] == [0, 1]
    assert rows[0] == first
