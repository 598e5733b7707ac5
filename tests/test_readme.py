"""What the README and the pages of docs/ show works when pasted, in the order shown."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

import zoo
from recipes import chart, cli, comparison

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
    table = comparison.markdown(comparison.rows())
    assert f"{comparison.START}\n{table}\n{comparison.END}" in page
    # The picture keeps the table that it was drawn of.
    with Image.open(comparison.PICTURE) as picture:
        assert picture.text["Description"] == table
    table = comparison.lines(comparison.entries(comparison.rows()), "")
    assert f"{comparison.START}\n{table}\n{comparison.END}" in README.read_text()
    compared = {row.name for row in comparison.rows()} & set(zoo.list_presets())
    assert table.count("\n") == 1 + len(compared)
    for name in comparison.PUBLISHED:
        kept = name in zoo.list_presets()
        assert f"| [`{name}`]" in table if kept else f"| `{name}` |" in page


def test_every_card_says_what_is_recorded():
    cards = comparison.cards()
    for file, text in cards.items():
        assert file.read_text() == text
    by_name = {file.parent.name: text for file, text in cards.items()}
    assert set(zoo.list_presets()) <= set(by_name)
    for part in (
        "--epochs 128 --seed 0 --dtype mixed_bfloat16`",
        "evaluate conv_vae_mnist --samples 1000 --dtype mixed_bfloat16 --record`",
        "keras 3.",
        "binarised; 50,000 train, 10,000 validation, 10,000 test images.",
        "first 1000 test images; a loaded entry gives it again",
        "`ca0736ab0d8cb72288a20aa6137657ce641b30e868636a14bb3c321364153763`",
    ):
        assert part in by_name["conv_vae_mnist"]
    assert "Published: 11.97 %" in by_name["semi_supervised_vae_mnist"]


def test_a_gap_is_to_what_the_recipe_says_is_published():
    for name, (nll, _, _) in comparison.PUBLISHED.items():
        assert f"{nll:.2f}" in (ROOT / "recipes" / "entries" / f"{name}.py").read_text()
    rows = {row.name: row for row in comparison.rows()}
    assert set(comparison.PUBLISHED) <= set(rows)
    row = rows["vae_mnist"]._replace(nll=90.0, samples="5000*")
    assert row.cells()[-3:] == ["90.00 [5000*]", "86.76 [5000]", "+3.24"]
    assert row._replace(samples="500").cells()[-1] == "(+3.24)"
    assert rows["beta_vae_mnist"].cells()[-2:] == ["", ""]


def test_results_are_printed_written_and_drawn(tmp_path, monkeypatch):
    files = {"PAGE": tmp_path / "page.md", "PICTURE": tmp_path / "picture.png"}
    files |= {"RATES": tmp_path / "rates.png", "README": tmp_path / "readme.md"}
    for name, file in files.items():
        monkeypatch.setattr(comparison, name, file)
    for name in ("PAGE", "README"):
        files[name].write_text(f"a\n{comparison.START}\nold\n{comparison.END}\nb\n")
    result = CliRunner(env={"COLUMNS": "120"}).invoke(cli.app, ["results"])
    assert result.exit_code == 0, result.output
    rows = comparison.rows()
    kept = comparison.entries(rows)
    texts = {"PAGE": comparison.markdown(rows), "README": comparison.lines(kept, "")}
    for name, text in texts.items():
        whole = f"a\n{comparison.START}\n{text}\n{comparison.END}\nb\n"
        assert files[name].read_text() == whole
    assert rows[0].name in result.output
    assert files["RATES"].exists()
    with Image.open(files["PICTURE"]) as picture:
        assert picture.format == "PNG"
    by_data = comparison.by_data(rows)
    for data, axes in zip(by_data, chart.draw(by_data).axes, strict=True):
        drawn = [row for row in rows if row.data == data]
        line, best = (line.get_xydata().tolist() for line in axes.lines[:2])
        minutes, most = drawn[0].minutes, drawn[0].cpu_minutes
        assert line == [[min(minutes, most), drawn[0].nll], [most, drawn[0].nll]]
        assert best == [line[1]]
        marks = [line for line in axes.lines if len(line.get_xdata()) == 1]
        assert len(marks) == len(axes.texts) == len(drawn)


def test_the_table_of_results_is_whole_in_a_narrow_terminal():
    rows = comparison.rows()
    console = Console(width=80, file=io.StringIO())
    console.print(comparison.table(rows))
    words = set(console.file.getvalue().split())
    for row in rows:
        assert {word for cell in row.cells() for word in cell.split()} <= words
