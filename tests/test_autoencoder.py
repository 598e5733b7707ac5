"""The autoencoder: no noise, no rate, the smallest reconstruction error."""

import numpy as np
import pytest

import zoo
from tests import configs


def test_the_loss_is_the_distortion_at_the_code(digits):
    model = configs.build(zoo.Autoencoder, likelihood=zoo.Normal(sigma=1.0))
    model.compile("adam", jit_compile=False)
    metrics = model.evaluate(digits, verbose=0, return_dict=True)
    error = np.sum((model.reconstruct(digits) - digits) ** 2, axis=(1, 2, 3)).mean()
    by_hand = 0.5 * error + 32 * np.log(2 * np.pi)  # 64 pixels, sigma = 1
    np.testing.assert_allclose(metrics["distortion"], by_hand, rtol=1e-5)
    np.testing.assert_allclose(metrics["loss"], by_hand, rtol=1e-5)
    assert metrics.keys() == {"loss", "distortion"}  # there is no bound to report


def test_predict_is_deterministic(digits):
    model = configs.build(zoo.Autoencoder)
    model.compile("adam", jit_compile=False)
    first, second = (model.predict(digits, verbose=0) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, model.reconstruct(digits), atol=1e-6)


@pytest.mark.slow
def test_it_reconstructs_better_than_a_vae():
    errors = {}
    for cls in (zoo.Autoencoder, zoo.VAE):
        model = configs.build(cls, likelihood=zoo.Normal(sigma=1.0))
        model.compile("adam", jit_compile=False)
        model.fit(configs.GREY, epochs=15, batch_size=32, verbose=0)
        errors[cls] = np.mean((model.reconstruct(configs.GREY) - configs.GREY) ** 2)
    assert errors[zoo.Autoencoder] < errors[zoo.VAE]
