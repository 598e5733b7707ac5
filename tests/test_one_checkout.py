"""What a demo or a training leaves in a checkout does not disturb the tests."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SEARCHES = ("glob", "rglob", "iterdir", "walk")


def tracked() -> list[str]:
    """The files of the repository, without what runs have written beside them."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    git = ["git", "-C", str(ROOT), "ls-files", "-z"]
    done = subprocess.run(git, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if (ROOT / name).is_file()]


def test_nobody_searches_more_than_folders_of_the_repository():
    """`ROOT.glob("*/x")` would find x in runs/ too, `ROOT.glob("docs/x")` would not."""
    names = tracked()
    folders = {name.split("/")[0] for name in names if "/" in name}
    for name in names:
        if not name.endswith(".py") or name.startswith("docs/"):
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr in SEARCHES:
                if not isinstance(called.value, ast.Name) or called.value.id != "ROOT":
                    continue
                (pattern,) = node.args
                where = f"{name}, line {node.lineno}"
                assert called.attr == "glob", where
                assert pattern.value.split("/")[0] in folders, where


@pytest.mark.slow
def test_the_tests_of_the_pages_pass_after_a_demo(tmp_path):
    for name in tracked():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    before = {file for file in tmp_path.rglob("*") if file.is_file()}
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for command in (
        ["recipes", "demo", "--epochs", "1"],  # what `make demo` runs, of two epochs
        ["pytest", "-n", "0", "tests/test_readme.py", "tests/test_rooms.py"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (tmp_path / "runs" / "demo" / "conv_vae_mnist" / "metadata.json").exists()
    ignored = (ROOT / ".gitignore").read_text().split()
    made = {file for file in tmp_path.rglob("*") if file.is_file()} - before
    for file in made:
        folders = {f"{part}/" for part in file.relative_to(tmp_path).parts}
        assert folders & set(ignored), file
