"""The pages that the site makes of the notebooks."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def pages():
    spec = importlib.util.spec_from_file_location("notebook_pages", DOCS / "notebook_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cell(kind, source, *outputs):
    return {"cell_type": kind, "source": source, "outputs": list(outputs)}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_page_has_every_cell_picture_and_line_of_its_notebook(pages, path):
    text = pages.page(path)
    assert text.startswith("# ") and f"[the notebook]({path.name})" in text
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        assert "".join(cell["source"]) in text
        for output in cell.get("outputs", ()):
            assert "".join(output.get("text", ())).rstrip() in text
            assert "".join(output.get("data", {}).get("image/png", ())).strip() in text
    assert "<IPython" not in text and "a player of the sound" in text


def test_fences_in_what_is_printed_end_no_block(pages, tmp_path):
    notebook = tmp_path / "a.ipynb"
    printed = {"output_type": "stream", "text": ["```\n", "````x\n"]}
    notebook.write_text(json.dumps({"cells": [cell("markdown", ["# A"]), cell("code", ["f()"], printed)]}))
    assert "`````text\n```\n````x\n`````" in pages.page(notebook)


def test_a_notebook_that_ended_in_an_error_is_no_page(pages, tmp_path):
    notebook = tmp_path / "a.ipynb"
    error = {"output_type": "error", "ename": "KeyError"}
    notebook.write_text(json.dumps({"cells": [cell("markdown", ["# A"]), cell("code", ["f()"], error)]}))
    with pytest.raises(ValueError, match=r"a\.ipynb: a cell ended in KeyError; run: python tools/notebooks\.py a"):
        pages.page(notebook)


def test_links_to_notebooks_lead_to_their_pages(pages):
    assert pages.on_page_markdown("[a](notebooks/a-b.ipynb), [b](x.ipynb)") == "[a](notebooks/a-b.md), [b](x.ipynb)"


def test_the_site_has_them_among_its_files(pages):
    files = pytest.importorskip("mkdocs.structure.files", reason="mkdocs comes with the extra docs")
    config = pytest.importorskip("mkdocs.config.defaults").MkDocsConfig()
    config.load_dict({"site_name": "x", "docs_dir": str(DOCS), "site_dir": str(DOCS.parent / "site")})
    config.validate()
    config.plugins._current_plugin = "notebook_pages"  # as a build sets it
    found = pages.on_files(files.Files([]), config)
    assert [file.src_uri for file in found] == [f"notebooks/{path.stem}.md" for path in NOTEBOOKS]
    assert [file.content_string for file in found] == [pages.page(path) for path in NOTEBOOKS]
