"""Entries of VQ-VAEs with learned priors of their codes."""

import numpy as np
import pytest

import zoo
from recipes import codes, datasets, runs


@pytest.mark.slow
def test_priors_of_all_levels_are_trained_and_published(tmp_path):
    run = runs.Run("tiny", tmp_path, epochs=1, seed=0, test_images=50)
    data = datasets.load("digits")
    model = zoo.VQVAE((8, 8, 1), strides=(2, 2), num_codes=6, channels=8, seed=0)
    model.compile("adam", jit_compile=False)
    model = run.fit(model, data, batch_size=64, binarise=True)
    options = {"channels": 8, "depth": 2, "epochs": 2, "about": "Tiny."}
    options["binarise"] = True
    entry = codes.publish_with_priors(run, model, data, **options)
    assert zoo.load(entry).sample(3).shape == (3, 8, 8, 1)
    metrics = zoo.presets.read_metadata(entry)["metrics"]
    # All draws of a point are the same: the bound of one is that of many.
    assert metrics["nll"]["value"] == pytest.approx(-metrics["elbo"]["value"], rel=1e-5)
    # What a prior learns of codes costs less than codes that are drawn at random.
    assert metrics["rate"]["value"] < (4 + 16) * np.log(6)
    took = metrics["prior_seconds"]["value"]
    again = codes.publish_with_priors(run, model, data, **options)
    # After a kill the priors are there already.
    found = zoo.presets.read_metadata(again)["metrics"]["prior_seconds"]["value"]
    assert found == took
