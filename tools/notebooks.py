"""Executes the notebooks of docs/notebooks/ and keeps what they print and draw; sounds are left to whoever runs them.

    python tools/notebooks.py              writes every notebook anew
    python tools/notebooks.py NAME…        those of these names

Each is executed in an empty folder, as a reader would, whose path is written as ``/home/you/try``. Needs nbclient and
ipykernel, which the extra ``test`` brings.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "notebooks"
#: What the folder of an execution is called in the outputs that are kept.
SHOWN = "/home/you/try"
#: Longest time of one cell [s].
TIMEOUT = 600
#: Tag of cells that print the same at each execution.
SAME = "prints-the-same"


def execute(path: Path, folder: Path) -> Any:
    """The notebook of a file with the outputs of an execution in a folder.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    extra = {"resources": {"metadata": {"path": str(folder)}}}
    NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", **extra).execute()
    return notebook


def tidy(notebook: Any, folder: Path) -> None:
    """Leaves of the outputs what is worth keeping: text and pictures, with no trace of this machine or of the time."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        cell.outputs = list(_merged(cell.outputs))
        for output in cell.outputs:
            data = output.get("data", {})
            if "audio" in data.get("text/html", ""):
                del data["text/html"]  # the player holds the sound itself
            for place in (output, *([data] if data else [])):
                for key in ("text", "text/plain", "text/html"):
                    if key in place:
                        place[key] = place[key].replace(os.path.realpath(folder), SHOWN).replace(str(folder), SHOWN)


def _merged(outputs: Iterable[Any]) -> Iterator[Any]:
    """Lines that were printed one after the other to one stream, as one output."""
    last = None
    for output in outputs:
        if last is not None and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            last = output
            yield output


def printed(cell: Any) -> str:
    """The text that a cell has printed, and that of its value."""
    texts = [output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return "\n".join("".join(text) for text in texts)


def main(names: list[str]) -> None:
    """Executes notebooks, all where none is named, and writes them."""
    paths = [FOLDER / f"{name.removesuffix('.ipynb')}.ipynb" for name in names] or sorted(FOLDER.glob("*.ipynb"))
    for path in paths:
        with tempfile.TemporaryDirectory() as folder:
            notebook = execute(path, Path(folder))
            tidy(notebook, Path(folder))
        text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        path.write_text(text, encoding="utf-8")
        print(f"{path}: {len(text.encode()) / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
