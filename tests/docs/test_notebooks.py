"""The notebooks run, and what is kept of an execution in them is what an execution prints."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]
MOST_BYTES = 200_000


@pytest.fixture(scope="module")
def nbformat():
    return pytest.importorskip("nbformat", reason="nbformat comes with the extra test")


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("notebooks_tool", ROOT / "tools" / "notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_two():
    assert NAMES == ["train-and-listen", "use-a-vocoder"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_what_is_kept_is_small_sound_and_of_one_execution(path, nbformat):
    assert path.stat().st_size < MOST_BYTES
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert "error" not in kinds and kinds >= {"stream", "display_data"}
    assert all(output.get("name") != "stderr" for cell in cells for output in cell.outputs)
    text = path.read_text(encoding="utf-8")
    assert "<audio" not in text and "/tmp/" not in text and str(ROOT) not in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_its_code_is_formatted_and_sound(path):
    for command in (["format", "--check"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, str(path)], cwd=ROOT, capture_output=True, text=True
        )
        if "No module named ruff" in done.stderr:
            pytest.skip("ruff comes with the extra dev")
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.end_to_end
@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_runs_in_an_empty_folder_and_prints_what_is_kept(path, nbformat, tool, tmp_path, monkeypatch):
    for name in ("nbclient", "ipykernel"):
        pytest.importorskip(name, reason=f"{name} comes with the extra test")
    pytest.importorskip("espeakng_loader", reason="the small corpus needs the extra mini")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # The kernel's own variables of the tests' process; a backend that draws on nothing would draw no pictures.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    kept = nbformat.read(path, as_version=4)
    run = tool.execute(path, tmp_path)
    tool.tidy(run, tmp_path)
    same = [
        (old, new) for old, new in zip(code(kept), code(run), strict=True) if tool.SAME in old.metadata.get("tags", [])
    ]
    assert len(same) >= 4
    for old, new in same:
        assert tool.printed(new) == tool.printed(old), f"{old.source}\nrun: python tools/notebooks.py {path.stem}"
    for old, new in zip(code(kept), code(run), strict=True):
        assert [output.output_type for output in new.outputs] == [output.output_type for output in old.outputs]
    assert any(tmp_path.iterdir())
