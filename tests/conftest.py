"""Fixtures that every test file shares."""

import gc

import keras
import numpy as np
import pytest

import zoo
from recipes.server.process import ServerProcess
from tests import configs
from tests.serving_gate import table_of

# What has been imported stays: collecting garbage among it takes an eighth of the time.
gc.freeze()
gc.set_threshold(100_000, 20, 20)


@pytest.fixture(autouse=True)
def seed():
    """Every test starts from the same seed and float32 networks, and leaves them."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def vae():
    """A small compiled VAE for binary digits."""
    model = configs.build()
    model.compile(configs.optimizer(), jit_compile=False)
    return model


@pytest.fixture
def digits():
    """64 binary digits `[64, 8, 8, 1]`."""
    return configs.BINARY[:64]


@pytest.fixture
def rng():
    """NumPy's generator, seeded."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def served_ladder(tmp_path_factory):
    """A local server of a tiny model of two layers, the model and its table."""
    model = configs.ladder(zoo.LadderVAE)
    entry = tmp_path_factory.mktemp("entries") / "tiny"
    rarity = table_of(model, configs.BINARY[:50])
    zoo.presets.save(model, entry, {"rarity": rarity})
    zoo.serving.export(model, entry / "serving", rarity=rarity)
    server = ServerProcess(entry)
    yield server, model, rarity
    server.stop()
