"""Entries: what is written comes back, and what is wrong is refused in clear words."""

import json
import time

import keras
import numpy as np
import pytest

import zoo
from tests import configs
from zoo import presets


def small_vae():
    return zoo.VAE(
        zoo.networks.conv_encoder((8, 8, 1), filters=(4,), units=8),
        zoo.networks.conv_decoder(3, (8, 8, 1), filters=(4,), units=8),
        latent_dim=3,
        likelihood=zoo.Normal(sigma=0.5),
        objective=zoo.objectives.ELBO(
            beta=zoo.schedules.Linear(0.0, 1.0, steps=10), free_bits=0.1
        ),
    )


@pytest.fixture
def entry(tmp_path):
    model = small_vae()
    presets.save(model, tmp_path / "entry", {"seed": 7})
    return model, tmp_path / "entry"


def edit_json(file, **changes):
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_saved_model_comes_back(entry):
    model, path = entry
    loaded = zoo.load(path)
    x = np.random.default_rng(0).random((5, 8, 8, 1), np.float32)
    np.testing.assert_array_equal(model.reconstruct(x), loaded.reconstruct(x))
    np.testing.assert_array_equal(model.sample(4, seed=1), loaded.sample(4, seed=1))
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    assert isinstance(zoo.VAE.from_preset(path), zoo.VAE)


@pytest.mark.parametrize("network", ["conv", "residual", "dense"])
def test_every_kind_of_network_comes_back(network, tmp_path):
    model = configs.build(networks=network)
    loaded = zoo.load(presets.save(model, tmp_path / "entry"))
    x = configs.BINARY[:3]
    np.testing.assert_array_equal(model.reconstruct(x), loaded.reconstruct(x))


def test_metadata_records_what_was_said_and_what_is(entry):
    model, path = entry
    record = presets.read_metadata(path)
    assert record["seed"] == 7
    assert record["class"] == "VAE"
    assert record["parameters"] == model.count_params()
    assert record["libraries"]["keras"] == keras.__version__


@pytest.mark.slow
def test_optimizer_state_is_not_shipped(entry):
    model, path = entry
    size = (path / presets.WEIGHTS).stat().st_size
    x = np.random.default_rng(0).random((16, 8, 8, 1), np.float32)
    model.compile("adam", jit_compile=False)
    model.fit(x, verbose=0)
    presets.save(model, path)
    assert (path / presets.WEIGHTS).stat().st_size == size


def test_weights_are_kept_in_fewer_bytes_and_to_the_bit(entry, tmp_path):
    model, path = entry
    file, plain = path / "model.weights.h5", tmp_path / "plain.weights.h5"
    model.save_weights(plain)
    assert file.stat().st_size < 0.9 * plain.stat().st_size
    for kept, weight in zip(zoo.load(path).weights, model.weights, strict=True):
        np.testing.assert_array_equal(kept, weight)
    first, now = file.read_bytes(), int(time.time())
    while int(time.time()) == now:
        time.sleep(0.05)
    model.save_to_preset(path)
    assert file.read_bytes() == first  # a second later


def test_saving_again_replaces_and_leaves_nothing_behind(entry):
    model, path = entry
    before = sorted(file.name for file in path.iterdir())
    model.set_weights([w + 1 for w in model.get_weights()])
    model.save_to_preset(path)
    assert sorted(file.name for file in path.iterdir()) == before
    x = np.zeros((1, 8, 8, 1), np.float32)
    np.testing.assert_array_equal(zoo.load(path).encode(x)[0], model.encode(x)[0])


def test_entries_are_small():
    folders = [zoo.presets.find(name) for name in zoo.list_presets()]
    sizes = [
        sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        for folder in folders
    ]
    assert max(sizes) < 25e6
    assert sum(sizes) < 140e6


def test_a_keras_file_is_for_another_function():
    with pytest.raises(FileNotFoundError, match=r"`keras.saving.load_model` loads"):
        zoo.load("vae.keras")


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(FileNotFoundError, match=r"Known: .*conv_vae_mnist"):
        zoo.load("no_such_entry")
    with pytest.raises(FileNotFoundError, match="Did you mean 'conv_vae_mnist'"):
        zoo.load("conv_vae_mnsit")


@pytest.mark.parametrize("name", [presets.METADATA, presets.WEIGHTS])
def test_a_missing_file_is_named(entry, name):
    _, path = entry
    (path / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        zoo.load(path)


def test_damaged_weights_are_refused(entry):
    _, path = entry
    content = bytearray((path / presets.WEIGHTS).read_bytes())
    content[len(content) // 2] ^= 1
    (path / presets.WEIGHTS).write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.weights\.h5 is damaged"):
        zoo.load(path)


@pytest.mark.parametrize("name", [presets.CONFIG, presets.METADATA])
def test_damaged_json_is_refused(entry, name):
    _, path = entry
    content = (path / name).read_text()
    (path / name).write_text(content[: len(content) // 2])
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        zoo.load(path)


@pytest.mark.parametrize("changes", [{"format": "x"}, {"config": {}}, {"config": 3}])
def test_a_config_without_its_parts_is_refused(entry, changes):
    edit_json(entry[1] / presets.CONFIG, **changes)
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        zoo.load(entry[1])


@pytest.mark.parametrize("name", [presets.CONFIG, presets.METADATA])
def test_a_newer_format_is_refused(entry, name):
    _, path = entry
    edit_json(path / name, format=presets.FORMAT + 1)
    with pytest.raises(ValueError, match="newer version of VAE Zoo"):
        zoo.load(path)


def test_another_class_is_refused(entry):
    class OtherVAE(zoo.VAE):
        pass

    with pytest.raises(TypeError, match=r"OtherVAE.*Received: VAE"):
        OtherVAE.from_preset(entry[1])


def test_something_that_is_no_model_of_the_zoo_is_refused(entry):
    _, path = entry
    edit_json(path / presets.CONFIG, registered_name="zoo>Bernoulli")
    with pytest.raises(ValueError, match="names no model that is known"):
        zoo.load(path)


@pytest.mark.parametrize(
    "intruder",
    [
        {"class_name": "system", "module": "os", "config": "true"},
        {"class_name": "Lambda", "module": "keras.layers", "config": {}},
        {"class_name": "__lambda__", "config": {"value": "AAAA"}},
        {"class_name": "TFSMLayer", "module": "keras.layers", "config": {}},
        {"class_name": "run", "module": "subprocess", "registered_name": "run"},
        {"class_name": "function", "module": "builtins", "config": "eval"},
        {"class_name": "get_file", "module": "keras.utils", "config": {}},
    ],
    ids=lambda intruder: intruder["class_name"],
)
def test_code_in_an_entry_is_never_run(entry, intruder):
    _, path = entry
    config = json.loads((path / presets.CONFIG).read_text())
    config["config"]["encoder"]["config"]["layers"].append(intruder)
    edit_json(path / presets.CONFIG, config=config["config"])
    with pytest.raises(ValueError, match=r"runs no code|not a modeling function"):
        zoo.load(path)


def test_a_model_that_would_need_code_is_not_saved(tmp_path):
    encoder = keras.Sequential(
        [keras.Input((4,)), keras.layers.Lambda(lambda x: x), keras.layers.Dense(2)]
    )
    vae = zoo.VAE(encoder, zoo.networks.dense_decoder(2, (4,)), latent_dim=2)
    with pytest.raises(ValueError, match="runs no code"):
        presets.save(vae, tmp_path / "entry")
    assert not list(tmp_path.rglob("*.h5"))
