"""Fixtures that every test file shares.

They import what they need when they are used: the process that hands out the tests
reads this file too, and would keep a TensorFlow that it has no use for.
"""

import ctypes
import gc
import sys

import pytest


def pytest_collection_finish():
    """What is imported stays: to look for garbage in it takes an eighth of the time."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


@pytest.fixture(autouse=True, scope="module")
def tidy():
    """The models of a file, which refer to themselves, do not outlive it."""
    yield
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)  # freed memory goes back to the system


@pytest.fixture(autouse=True)
def seed():
    """Every test starts from the same seed and float32 networks, and leaves them."""
    import keras

    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def vae():
    """A small compiled VAE for binary digits."""
    from tests import configs

    model = configs.build()
    model.compile(configs.optimizer(), jit_compile=False)
    return model


@pytest.fixture
def digits():
    """64 binary digits `[64, 8, 8, 1]`."""
    from tests import configs

    return configs.BINARY[:64]


@pytest.fixture
def rng():
    """NumPy's generator, seeded."""
    import numpy as np

    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def served_ladder(tmp_path_factory):
    """A local server of a tiny model of two layers, the model and its table."""
    import zoo
    from recipes.server.process import ServerProcess
    from tests import configs
    from tests.serving_gate import table_of

    model = configs.ladder(zoo.LadderVAE)
    entry = tmp_path_factory.mktemp("entries") / "tiny"
    rarity = table_of(model, configs.BINARY[:50])
    zoo.presets.save(model, entry, {"rarity": rarity})
    zoo.serving.export(model, entry / "serving", rarity=rarity)
    server = ServerProcess(entry)
    yield server, model, rarity
    server.stop()
