"""What the README shows works when pasted, in the order it is shown."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_python_of_the_readme_runs():
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) >= 4
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["z"].shape == (8, 32)


def test_every_link_and_picture_exists():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    missing = [t for t in targets if "://" not in t and not (ROOT / t).exists()]
    assert not missing


def test_the_results_are_the_measured_ones():
    rows = re.findall(r"^\| `(\w+)`[^|]*\| ([\d.]+) \| \*{0,2}([\d.]+)", README, re.M)
    assert len(rows) >= 8
    for name, bound, nll in rows:
        folders = ROOT / "saved_models" / name, ROOT / "recipes" / "results" / name
        (file,) = (f / "metadata.json" for f in folders if f.is_dir())
        metrics = json.loads(file.read_text())["metrics"]
        assert float(bound) == round(-metrics["elbo"]["value"], 2), name
        assert float(nll) == round(metrics["nll"]["value"], 2), name
