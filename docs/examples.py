"""Reads docstrings as the zoo writes them: what follows `Example:` is Python."""

import logging
import re
import textwrap

import griffe

EXAMPLE = re.compile(r"^Example:\n((?: +\S.*\n?|\n)+)", flags=re.MULTILINE)
JOINED = re.compile(
    r"^(?! |Args:|Attributes:|Example:|Raises:|Returns:)(.+)\n {4}", flags=re.MULTILINE
)
log = logging.getLogger("mkdocs.docstrings")  # a warning ends the build


def fenced(found: re.Match) -> str:
    """The code of an example as Markdown."""
    return f"**Example**\n\n```python\n{textwrap.dedent(found[1]).strip()}\n```\n\n"


class Examples(griffe.Extension):
    """Makes each docstring's example a block of code."""

    def on_instance(self, *, obj: griffe.Object, **kwargs) -> None:
        if obj.docstring:
            text = obj.docstring.value
            if JOINED.search(text):
                log.warning("%s: no empty line between text and formula", obj.path)
            obj.docstring.value = EXAMPLE.sub(fenced, text)
