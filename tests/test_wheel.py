"""What `pip install` brings: the wheel holds it all, and works without a checkout."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import zoo
from recipes import cli
from tests.test_readme import README, python_of

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.xdist_group("wheel")  # one process builds it for all tests


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of what it is made of."""
    folder = tmp_path_factory.mktemp("wheel")
    for name, *unused in (
        ("zoo",),
        ("saved_models", "serving", "figures"),
        ("recipes", "results"),
    ):
        ignored = shutil.ignore_patterns("__pycache__", *unused)
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet"]
    if int(importlib.metadata.version("setuptools").split(".")[0]) >= 77:
        pip.append("--no-build-isolation")  # otherwise pip fetches a newer one
    subprocess.run([*pip, "-w", folder, folder], check=True)
    (file,) = folder.glob("vae_zoo-*.whl")
    return file


def test_a_wheel_brings_entries_recipes_and_data_along(wheel):
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
        (commands,) = (name for name in names if name.endswith("/entry_points.txt"))
        assert b"vae-zoo = recipes.cli:main" in content.read(commands)
    for entry in zoo.list_presets():
        for file in ("config.json", "metadata.json", "model.weights.h5", "README.md"):
            assert f"zoo/saved_models/{entry}/{file}" in names
    for recipe in cli.recipe_names():
        assert f"recipes/entries/{recipe}.py" in names
    for folder in ("recipes/data", "recipes/explorer/page"):
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
        assert {path.relative_to(ROOT).as_posix() for path in files} <= names


@pytest.mark.slow
def test_a_wheel_works_without_the_checkout(wheel, tmp_path):
    """In an environment of its own, which borrows this one's dependencies."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    borrowed = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (packages / "borrowed.pth").write_text("\n".join(borrowed))
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "COLUMNS": "80"}

    def run(*command) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    pip = sys.executable, "-m", "pip", "--python", venv / "bin" / "python"
    run(*pip, "install", "--no-deps", "--no-index", "--quiet", wheel)
    script = tmp_path / "first_minutes.py"
    script.write_text(
        "import zoo\n"
        "print(zoo.__file__, zoo.__version__)\n"
        'print(zoo.load("vae_mnist").sample(4).shape)\n' + "\n".join(python_of(README))
    )
    where, shape, *_ = run(venv / "bin" / "python", script).splitlines()
    assert where.startswith(str(packages))
    assert where.endswith(f" {zoo.__version__}")
    assert shape == "(4, 28, 28, 1)"
    command = venv / "bin" / "vae-zoo"
    assert "Begin with" in run(command, "--help")
    words = run(command, "list").split()
    assert {*cli.recipe_names(), *zoo.list_presets()} <= set(words)
