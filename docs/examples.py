"""Reads docstrings as the zoo writes them: what follows `Example:` is Python."""

import re
import textwrap

import griffe

EXAMPLE = re.compile(r"^Example:\n((?: +\S.*\n?|\n)+)", flags=re.MULTILINE)


def fenced(found: re.Match) -> str:
    """The code of an example as Markdown."""
    return f"**Example**\n\n```python\n{textwrap.dedent(found[1]).strip()}\n```\n\n"


class Examples(griffe.Extension):
    """Makes each docstring's example a block of code."""

    def on_instance(self, *, obj: griffe.Object, **kwargs) -> None:
        if obj.docstring:
            text = obj.docstring.value
            obj.docstring.value = EXAMPLE.sub(fenced, text)
