"""What the README and the pages of docs/ show works when pasted, in the order shown."""

import json
import re
from pathlib import Path

import pytest

from recipes import tables

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]


def python_of(page: Path) -> list[str]:
    """The blocks of Python that a page shows, in order."""
    return re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize(
    ("page", "count"), [("README.md", 5), ("your_own_parts.md", 9), ("data.md", 2)]
)
def test_the_python_of_a_page_runs(page, count, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where its pictures go
    (page,) = (path for path in PAGES if path.name == page)
    blocks = python_of(page)
    assert len(blocks) == count
    names = {}
    for block in blocks:
        exec(compile(block, page.name, "exec"), names)
    pictures = {"README.md": {"rows.png"}, "data.md": {"emoji.png"}}
    drawn = {file.name for file in tmp_path.iterdir()}
    assert drawn == pictures.get(page.name, set())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_picture_exists(page):
    targets = re.findall(r"""(?:\]\(|src=")([^)#"]+)[)"]""", page.read_text())
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


def test_the_results_are_the_recorded_ones():
    page = (ROOT / "docs" / "results.md").read_text()
    assert tables.results() in page
    rows = re.findall(r"`(\w+)`[^`*]*\*\*([\d.]+)\*\* nats", README.read_text())
    assert rows
    for name, nll in rows:
        record = (ROOT / "saved_models" / name / "metadata.json").read_text()
        measured = json.loads(record)["metrics"]["nll"]["value"]
        assert float(nll) == round(measured, 2), name
