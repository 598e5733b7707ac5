"""Pretrained entries: a folder with an architecture, its weights and their record.

    <entry>/config.json        class and constructor arguments, JSON, no code
    <entry>/model.weights.h5   the weights
    <entry>/metadata.json      how they came to be; the weights' SHA-256

The folder is the registry: an entry is whatever holds these three files.
"""

import difflib
import hashlib
import importlib.metadata
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import keras
from h5py import h5f, h5g, h5p

from zoo import checks

FORMAT = 1
CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
# Keras' own objects that read other files, or run what they hold.
LOADERS = ["FlaxLayer", "JaxLayer", "Lambda", "TFSMLayer", "TorchModuleWrapper"]
# Plain values in Keras' JSON.
MARKERS = ("__tuple__", "__keras_tensor__", "__ellipsis__", "__slice__", "__tensor__")
LIBRARIES = ("keras", "tensorflow", "tensorflow-probability", "numpy")


def save(
    model: keras.Model, path: str | os.PathLike, metadata: dict | None = None
) -> Path:
    """Writes a model as an entry; replaces one that is there, file by file.

    `path` is the entry's folder, its last part the preset's name, and is returned;
    `metadata` what the writer knows: recipe, data set, seed, metrics, ...
    """
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    config = {
        "format": FORMAT,
        "registered_name": keras.saving.get_registered_name(type(model)),
        "config": model.get_config(),
    }
    _refuse_code(config["config"])
    bare = type(model).from_config(model.get_config())  # without optimizer state
    bare.set_weights(model.get_weights())
    with _replacing(path / WEIGHTS) as file:
        bare.save_weights(file)
        _compress(file)
    record = {
        **(metadata or {}),
        "format": FORMAT,
        "class": type(model).__name__,
        "parameters": model.count_params(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "weights_sha256": _sha256(path / WEIGHTS),
    }
    for name, content in ((CONFIG, config), (METADATA, record)):
        with _replacing(path / name) as file:
            file.write_text(json.dumps(content, indent=2) + "\n")
    return path


def load(name_or_path: str | os.PathLike) -> keras.Model:
    """Loads an entry by its name in the zoo or by the path of its folder.

    Only JSON and arrays are read: nothing in an entry is ever executed.

    Raises:
        FileNotFoundError: if there is no such entry, or one of its files is missing.
        ValueError: if a file is damaged, holds what is not a model's architecture, or
            was written in a newer format; the message says which.
    """
    path = find(name_or_path)
    config = _read_json(path / CONFIG)
    metadata = read_metadata(path)
    for name, content in ((CONFIG, config), (METADATA, metadata)):
        version = content.get("format")
        damaged = f"{path / name} is damaged: it has no format."
        checks.require(isinstance(version, int), damaged, version)
        newer = f"{path / name} needs a newer version of VAE Zoo, which reads format "
        checks.require(version <= FORMAT, f"{newer}{FORMAT}.", f"format={version}")
    if not (path / WEIGHTS).is_file():
        raise FileNotFoundError(f"{path} has no {WEIGHTS}.")
    found, wanted = _sha256(path / WEIGHTS), f"is not the one in {METADATA}."
    wanted = f"{path / WEIGHTS} is damaged or was changed: its SHA-256 {wanted}"
    checks.require(found == metadata.get("weights_sha256"), wanted, found)
    _refuse_code(config.get("config"))
    name = config.get("registered_name")
    cls = keras.saving.get_registered_object(name)
    wanted = f"{path / CONFIG} names no model that is known: import its class, which "
    wanted += "`keras.saving.register_keras_serializable` registers."
    checks.require(hasattr(cls, "from_preset"), wanted, f"registered_name={name!r}")
    try:
        model = cls.from_config(config["config"])
    except (AttributeError, KeyError, TypeError) as error:
        saved = metadata.get("libraries", {}).get("keras")
        raise ValueError(
            f"{path / CONFIG} is damaged, or its Keras {saved} is too different from "
            f"the one here, {keras.__version__}: {error}"
        ) from error
    model.load_weights(path / WEIGHTS)
    return model


def find(name_or_path: str | os.PathLike) -> Path:
    """The folder of an entry, given its name in the zoo or its path.

    Raises:
        FileNotFoundError: if there is none; the message lists what there is.
    """
    for path in (Path(name_or_path), *(f / name_or_path for f in _folders())):
        if (path / CONFIG).is_file():
            return path
    known = list_presets()
    near = difflib.get_close_matches(str(name_or_path), known, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    if Path(name_or_path).suffix == ".keras":
        hint = "`keras.saving.load_model` loads a .keras file. "
    raise FileNotFoundError(
        f"No pretrained entry {str(name_or_path)!r}. {hint}"
        f"Known: {', '.join(known) or 'none'}; or give the path of an entry's folder, "
        "such as `zoo.presets.save(model, path)` makes."
    )


def list_presets() -> list[str]:
    """Names of the pretrained entries that come with the zoo, sorted."""
    return sorted({p.parent.name for f in _folders() for p in f.glob(f"*/{CONFIG}")})


def read_metadata(name_or_path: str | os.PathLike) -> dict:
    """The record of an entry: recipe, data, metrics with protocol, versions."""
    return _read_json(find(name_or_path) / METADATA)


def _folders() -> list[Path]:
    """Where entries live: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).parent
    return [package.parent / "saved_models", package / "saved_models"]


def _refuse_code(config) -> None:
    """Raises unless every object that `config` names is Keras' or registered."""
    if isinstance(config, dict):
        if "class_name" in config:
            name, module = config["class_name"], str(config.get("module") or "")
            registered = config.get("registered_name")
            ours = keras.saving.get_registered_object(str(registered)) is not None
            own_keras = module.split(".")[0] == "keras" and registered in (None, name)
            harmless = name in MARKERS or ours or own_keras
            wanted = "An entry may name Keras layers and registered classes only, so "
            wanted += "that loading it runs no code."
            good = harmless and name not in (*LOADERS, "__lambda__")
            checks.require(good, wanted, f"{module}.{name}")
        for value in config.values():
            _refuse_code(value)
    elif isinstance(config, list | tuple):
        for value in config:
            _refuse_code(value)


def _compress(file: Path) -> None:
    """Leaves a tenth of the bytes of an HDF5 file out, a third where arrays are small.

    Signs and exponents of weights are much alike; the order of `shuffle` puts them side
    by side. Without times in it, the same weights make the same file.
    """
    packed, options = file.with_name("packed"), {"shuffle": True, "compression": "gzip"}
    file_options = h5p.create(h5p.FILE_CREATE)
    group_options = h5p.create(h5p.GROUP_CREATE)
    for kind in file_options, group_options:
        kind.set_obj_track_times(False)
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_libver_bounds(h5f.LIBVER_V110, h5f.LIBVER_V110)
    name = os.fsencode(packed)
    opened = h5f.create(name, h5f.ACC_TRUNC, file_options, access)
    with h5py.File(file) as old, h5py.File(opened) as new:
        new.attrs.update(old.attrs)

        def copy(name, item):
            if isinstance(item, h5py.Group):
                made = h5g.create(new.id, name.encode(), gcpl=group_options)
                copied = h5py.Group(made)
            else:
                small = item.nbytes < 4096  # and packing takes room too
                packing = {} if small else options
                copied = new.create_dataset(name, data=item[()], **packing)
            copied.attrs.update(item.attrs)

        old.visititems(copy)
    os.replace(packed, file)


def _read_json(path: Path) -> dict:
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent} has no {path.name}.")
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is damaged: it is not JSON ({error}).") from None
    checks.require(isinstance(content, dict), f"{path} is damaged.", type(content))
    return content


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary file that takes the place of `path` only once it is complete."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving-") as folder:
        file = Path(folder) / path.name
        yield file
        os.replace(file, path)
