"""The rooms of the house: each imports only what comes before it, and no circles."""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("zoo", "recipes", "benchmarks")

ROOMS = (  # of zoo/, from the first to the last
    (
        "bounds",
        "callbacks",
        "checks",
        "devices",
        "feeds",
        "guard",
        "internals",
        "parts",
        "schedules",
        "steps",
    ),
    ("presets",),  # files alone: it knows no model
    ("networks",),
    ("flows",),
    ("heads",),
    ("priors", "likelihoods"),
    (
        "draws",
        "graphs",
        "image_files",
        "rarity",
        "training",
        "model",
        "objectives",
        "generative",
        "latent",
        "vae",
        "topdown",
        "adversarial",
        "serving",
    ),
    ("variants",),
    ("evaluation",),
    ("transports", "client"),  # it knows a server, and no model
)


def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name."""
    files = [file for name in PACKAGES for file in (ROOT / name).rglob("*.py")]
    names = [file.relative_to(ROOT).with_suffix("").parts for file in files]
    return {
        ".".join(parts[:-1] if parts[-1] == "__init__" else parts): file
        for parts, file in zip(names, files)
    }


MODULES = modules()


def imports(file: Path) -> set[str]:
    """Our modules that a file imports, be it within a function."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names.update((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file} imports by dots"
            names.update((node.module, alias.name) for alias in node.names)
    found = set()
    for module, name in names:
        inner = f"{module}.{name}"
        found.add(inner if inner in MODULES else module)
    return found & MODULES.keys()


GRAPH = {name: imports(file) for name, file in MODULES.items()}


def room(module: str) -> int:
    part = module.split(".")[1]
    (index,) = (i for i, parts in enumerate(ROOMS) if part in parts)
    return index


def test_the_rooms_are_those_of_the_zoo():
    parts = {name.split(".")[1] for name in MODULES if name.startswith("zoo.")}
    assert parts == {part for parts in ROOMS for part in parts}


@pytest.mark.parametrize("name", sorted(n for n in MODULES if n.startswith("zoo.")))
def test_a_room_imports_only_what_comes_before_it(name):
    later = [other for other in GRAPH[name] if room(other) > room(name)]
    assert not later


def test_there_is_no_circle():
    graphlib.TopologicalSorter(GRAPH).prepare()  # a circle's error lists its modules


def test_nobody_imports_a_package_that_stands_on_his_own():
    for name, others in GRAPH.items():
        package = PACKAGES.index(name.split(".")[0])
        for other in others:
            assert PACKAGES.index(other.split(".")[0]) <= package, (name, other)


def test_the_packages_are_all_in_the_wheel():
    listed = (ROOT / "pyproject.toml").read_text()
    for name, file in MODULES.items():
        if name.startswith(("zoo", "recipes")) and file.name == "__init__.py":
            assert f'"{name}",' in listed
