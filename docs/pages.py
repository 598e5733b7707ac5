"""What the site has beside the Markdown files: pages made from code and notebooks.

Every page lies where its source lies in the repository, so that links between files
hold in both; links to code lead to the page that is made from it.
"""

import json
import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parent.parent
COPIED = (
    *("README.md", "GLOSSARY.md", "CONTRIBUTING.md", "docs/*.md", "docs/*.css"),
    *("saved_models/*/README.md", "saved_models/*/figures/*.png"),
    *("benchmarks/*.png", "benchmarks/*.json", "recipes/results/*/*", "docs/*.png"),
)
NOTEBOOKS = ("first_vae", "own_variant", "entry_to_endpoint")
PAPERS = (ROOT / "zoo" / "vae.py", *sorted(ROOT.glob("zoo/variants/[a-z]*.py")))
TOOLS = ("datasets", "pipelines", "streaming", "runs", "publish")
LINK = re.compile(r"(?<=\]\()[^)#\s]+")


def on_files(files, config):
    """The pages of the site, and where the folders of the navigation stand."""
    for file in files.documentation_pages() + files.media_files():
        if Path(file.src_dir or "") == Path(config.docs_dir):
            files.remove(file)
    for pattern in COPIED:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File(name, str(ROOT), config.site_dir, False))
    made = {**notebooks(), **family(), **reference(), **entries(), **records()}
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    names = [*made, *sorted(file.src_uri for file in files.documentation_pages())]
    for item in config.nav:
        for title, place in item.items():
            if place.endswith("/"):
                inside = [n for n in names if n.startswith(place) and n.endswith(".md")]
                item[title] = list(dict.fromkeys(inside))
    return files


def on_page_markdown(markdown, page, **kwargs):
    """Leads links to code, notebooks and folders to their pages."""
    here = posixpath.dirname(page.file.src_uri)

    def moved(link):
        path = posixpath.normpath(posixpath.join(here, link[0]))
        target = ROOT / path
        if "://" in link[0] or not target.exists():
            return link[0]
        return posixpath.relpath(page_of(target, path), here or ".")

    return LINK.sub(moved, markdown)


def page_of(target: Path, path: str) -> str:
    """The page of a file or a folder of the repository, by its path."""
    if target in PAPERS:
        return f"family/{class_of(target)}.md"
    if target.is_dir():
        readme = (target / "README.md").exists()
        return f"{path}/README.md" if readme else "recipes/results/index.md"
    return re.sub(r"\.(py|ipynb)$", ".md", path)


def notebooks() -> dict[str, str | bytes]:
    """Executed notebooks as Markdown, and their pictures."""
    pages = {}
    for name in NOTEBOOKS:
        path = f"docs/notebooks/{name}"
        options = {"unique_key": name, "output_files_dir": name}
        text, more = MarkdownExporter().from_filename(
            str(ROOT / f"{path}.ipynb"), resources=options
        )
        text = text.replace("%matplotlib inline\n", "")
        pages[f"{path}.md"] = text
        for picture, pixels in more["outputs"].items():
            pages[f"docs/notebooks/{picture}"] = pixels
    return pages


def class_of(paper: Path) -> str:
    """The model of a paper's file."""
    return re.search(r"^class (\w+)", paper.read_text(), re.MULTILINE)[1]


def family() -> dict[str, str]:
    """A page for each model: its docstring, its entries and its file."""
    trained = {}
    for record in sorted(ROOT.glob("saved_models/*/metadata.json")):
        kind = json.loads(record.read_text())["class"]
        trained.setdefault(kind, []).append(record.parent.name)
    pages = {}
    for paper in PAPERS:
        name = class_of(paper)
        module = ".".join(paper.relative_to(ROOT).with_suffix("").parts)
        lines = [f"---\ntitle: {name}\n---", f"::: {module}.{name}"]
        lines.append("    options: {heading_level: 1, show_root_heading: true}")
        if name in trained:
            lines.append("\n## Entries")
        for entry in trained.get(name, ()):
            folder = f"../saved_models/{entry}"
            lines.append(f"\n[`{entry}`]({folder}/README.md)\n")
            lines.append(f"![its samples]({folder}/figures/samples.png)")
        lines.append(f"\n## Source\n```python\n{paper.read_text()}```")
        pages[f"family/{name}.md"] = "\n".join(lines)
    return pages


def reference() -> dict[str, str]:
    """A page for each room of the zoo, and for what makes entries."""
    rooms = [p for p in sorted((ROOT / "zoo").iterdir()) if p not in PAPERS]
    rooms += [ROOT / "recipes" / f"{tool}.py" for tool in TOOLS]
    rooms += [ROOT / "recipes" / "figures"]
    pages = {}
    for path in rooms:
        package = (path / "__init__.py").exists() and path.name != "variants"
        if not package and not re.fullmatch(r"[a-z]\w*\.py", path.name):
            continue
        name = f"{path.parent.name}.{path.stem}"
        lines = [f"# {name}", f"::: {name}"]
        if package:
            lines.append("    options: {members: false}")
            for file in sorted(path.glob("[a-z]*.py")):
                lines.append(f"\n## {file.stem}\n\n::: {name}.{file.stem}")
                lines.append("    options: {heading_level: 3}")
        pages[f"reference/{name}.md"] = "\n".join(lines)
    return pages


def entries() -> dict[str, str]:
    """The recipes as they stand."""
    pages = {}
    for path in ROOT.glob("recipes/entries/[a-z]*.py"):
        text = f"# {path.stem}\n```python\n{path.read_text()}```"
        pages[f"recipes/entries/{path.stem}.md"] = text
    return pages


def records() -> dict[str, str]:
    """What the studies have written."""
    lines = ["# Records of the studies"]
    for path in sorted(ROOT.glob("recipes/results/*/*")):
        name = f"{path.parent.name}/{path.name}"
        lines.append(f"- [{name}]({name})")
    return {"recipes/results/index.md": "\n".join(lines)}
