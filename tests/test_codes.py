"""Entries of VQ-VAEs with learned priors of their codes."""

import numpy as np
import pytest

import zoo
from recipes import codes, datasets, runs


@pytest.mark.slow
def test_priors_of_all_levels_are_entries_within_the_model_s(tmp_path):
    run = runs.Run("tiny", tmp_path, epochs=1, seed=0, test_images=50)
    data = datasets.load("digits")
    model = zoo.VQVAE((8, 8, 1), strides=(2, 2), num_codes=6, channels=8, seed=0)
    model.compile("adam", jit_compile=False)
    model = run.fit(model, data, batch_size=64, binarise=True)
    options = {"channels": 8, "depth": 2, "epochs": 2, "about": "Tiny."}
    options["binarise"] = True
    entry = codes.publish_with_priors(run, model, data, **options)
    copy = zoo.load(entry)
    priors = [zoo.load(entry / name) for name in ("prior_2", "prior_1")]
    images = copy.sample_from(priors, 3)
    assert images.shape == (3, 8, 8, 1)
    metrics = zoo.presets.read_metadata(entry)["metrics"]
    total = metrics["distortion"]["value"] + sum(metrics["prior_nats"]["value"])
    assert metrics["nll_with_priors"]["value"] == pytest.approx(total, rel=1e-5)
    # What a prior learns of codes costs less than codes that are drawn at random.
    assert sum(metrics["prior_nats"]["value"]) < (4 + 16) * np.log(6)
    assert (entry / "figures" / "samples.png").stat().st_size > 1000
