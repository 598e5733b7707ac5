"""The notebooks of docs/: their cells run, and what they have stored is fit to show."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "notebooks"
MAGIC = "%matplotlib inline\n"  # Jupyter's own
ORDER = ("first_vae", "own_variant", "entry_to_endpoint")


def cells(name: str, kind: str = "code") -> list[dict]:
    notebook = json.loads((FOLDER / f"{name}.ipynb").read_text())
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def test_there_are_no_others():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(ORDER)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("first_vae", marks=pytest.mark.slow),
        pytest.param("own_variant", marks=pytest.mark.slow),
        pytest.param("entry_to_endpoint", marks=pytest.mark.slow),
    ],
)
def test_the_cells_run(name):
    names = {"__name__": name}
    for cell in cells(name):
        source = "".join(cell["source"]).replace(MAGIC, "")
        exec(compile(source, name, "exec"), names)


@pytest.mark.parametrize("name", ORDER)
def test_what_is_stored_is_whole_and_small(name):
    assert (FOLDER / f"{name}.ipynb").stat().st_size < 300_000
    counts = [cell["execution_count"] for cell in cells(name)]
    assert counts == list(range(1, len(counts) + 1)), "run them: make notebooks"
    outputs = [output for cell in cells(name) for output in cell["outputs"]]
    assert outputs
    for output in outputs:
        assert output["output_type"] in ("stream", "execute_result")
        assert output.get("name") != "stderr"
        text = "".join(output.get("text", output.get("data", {}).get("text/plain", "")))
        for machine in ("/tmp", "/home", "/root", "site-packages", "127.0.0.1:"):
            assert machine not in text


@pytest.mark.parametrize("name", ORDER)
def test_every_link_leads_somewhere(name):
    text = "".join("".join(cell["source"]) for cell in cells(name, "markdown"))
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (FOLDER / target).exists(), target
