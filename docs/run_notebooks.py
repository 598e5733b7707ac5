"""Runs the notebooks anew and keeps their outputs: `make notebooks`."""

import base64
from io import BytesIO
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).parent / "notebooks"
NOISE = "INFO:tensorflow"


def small(picture: str) -> str:
    """A PNG in base64 with 32 colours."""
    image = Image.open(BytesIO(base64.b64decode(picture))).convert("RGB")
    buffer = BytesIO()
    image.quantize(32).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def kept(output) -> bool:
    """Whether an output is the notebook's own, and not a remark of TensorFlow's."""
    remark = output.get("name") == "stderr" or NOISE in output.get("text", "")
    return not remark


def run(path: Path) -> None:
    """Writes a notebook with the outputs of its cells."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, record_timing=False).execute()
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs = list(filter(kept, cell.outputs))
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                output.data = {"image/png": small(data["image/png"])}
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.ipynb")):
        run(path)
