"""Shows the notebooks of docs/notebooks/ on the site, with the outputs that are kept in them: a page for each, made at build time.

A hook of MkDocs beside ``docs/hooks.py``. The repository has no such pages, as forges show notebooks themselves; so pages link
to the ``.ipynb`` file, and the site turns that into a link to its page.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "notebooks"
#: A link of a page to a notebook.
LINK = re.compile(r"(\]\([^)\s]*?notebooks/[\w-]+)\.ipynb(\))")


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Adds the pages to the site's files; the notebooks themselves are among these, to be downloaded."""
    from mkdocs.structure.files import File

    for path in sorted(FOLDER.glob("*.ipynb")):
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A page whose links to notebooks lead to their pages."""
    return LINK.sub(r"\1.md\2", markdown)


def page(path: Path) -> str:
    """The Markdown of a notebook.

    Args:
        path: an ``.ipynb`` file of format 4.

    Raises:
        ValueError: if a code cell's kept output is an error.
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    first, *cells = [cell_of(cell, path) for cell in notebook["cells"]]
    about = f"*As it was executed last; [the notebook]({path.name}) can be downloaded and run.*"
    return "\n\n".join([first, about, *(cell for cell in cells if cell)]) + "\n"


def cell_of(cell: dict[str, Any], path: Path) -> str:
    """The Markdown of one cell with its outputs.

    Raises:
        ValueError: if an output is an error.
    """
    text = "".join(cell["source"])
    if cell["cell_type"] != "code":
        return text
    return "\n\n".join([fenced(text, "python"), *(output_of(output, path) for output in cell["outputs"])])


def output_of(output: dict[str, Any], path: Path) -> str:
    """The Markdown of one output: a picture, the place of a player, or text.

    Raises:
        ValueError: if it is an error.
    """
    if output["output_type"] == "error":
        raise ValueError(f"{path}: a cell ended in {output['ename']}; run: python tools/notebooks.py {path.stem}")
    data = output.get("data", {})
    if "image/png" in data:
        picture = "".join(data["image/png"]).replace("\n", "")
        return f'<img alt="what the cell above draws" src="data:image/png;base64,{picture}">'
    text = "".join(output.get("text", data.get("text/plain", ""))).rstrip()
    if "Audio object" in text:
        return "*(Here is a player of the sound, when the cell is run.)*"
    return fenced(text, "text")


def fenced(text: str, language: str) -> str:
    """A block of code, whose fence is longer than any in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
