"""The page on what is trusted: every statement names a test that there is, and what is attacked here holds."""

from __future__ import annotations

import builtins
import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from gansemble.errors import CheckpointError, GansembleError
from gansemble.files import sha256
from gansemble.pages import document
from gansemble.parts.plain import read_plain
from gansemble.recipe.required import way
from gansemble.stages import BY_NAME
from gansemble.stages.last_words import continuation
from gansemble.training.checkpoint import verify

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"


class Program:
    """Pickled, it runs when it is read."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("import builtins; builtins.gansemble_was_fooled = True",)


@pytest.fixture
def fooled():
    """Whether a program was run."""
    yield lambda: hasattr(builtins, "gansemble_was_fooled")
    if hasattr(builtins, "gansemble_was_fooled"):
        del builtins.gansemble_was_fooled


def named() -> list[tuple[str, str]]:
    return re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE.read_text())


def test_every_test_that_the_page_names_is_there():
    assert len(named()) >= 20
    missing = [f"{file}::{name}" for file, name in named() if f"def {name}(" not in (ROOT / file).read_text()]
    assert missing == []


def test_every_row_of_data_names_its_test():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("|")][2:]
    assert len(rows) > 15 and [row for row in rows if "`tests/" not in row.split("|")[-2]] == []


def test_the_programs_of_these_tests_would_run(fooled, tmp_path):
    torch.save({"state": Program()}, tmp_path / "a.pt")
    assert not fooled()
    torch.load(tmp_path / "a.pt", weights_only=False)
    assert fooled()


def test_a_program_in_a_checkpoint_is_refused_and_not_run(fooled, tmp_path):
    folder = tmp_path / "step-00000001"
    folder.mkdir()
    torch.save({"state": Program()}, folder / "training.pt")
    path = folder / "training.pt"
    files = {path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)}}
    (folder / "manifest.json").write_text(json.dumps({"step": 1, "files": files}))
    saved = verify(folder)  # a forger gives the right hashes
    with pytest.raises(
        CheckpointError, match=r"training\.pt: holds other things than plain tensors, .* nothing of it was run"
    ):
        saved.state("training")
    assert not fooled()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 damaged", b"\x80\x04.", "a program"])
def test_a_program_in_a_file_of_statistics_is_refused_and_not_run(fooled, tmp_path, content):
    path = tmp_path / "representation-0.pt"
    if isinstance(content, str):
        torch.save({"mean": Program()}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(GansembleError, match=r"representation-0\.pt: .*; measure anew"):
        read_plain(path, "measure anew")
    assert not fooled()


def test_nothing_of_the_toolkit_reads_pickles_of_any_kind():
    lines = [
        (path, line)
        for folder in ("toolkit", "plugins")
        for path in (ROOT / folder).rglob("*.py")
        # workers.py sends pickles to processes of its own; the conformance kit to itself.
        if "gansemble/testing/" not in str(path) and path.name != "workers.py"
        for line in path.read_text().splitlines()
    ]
    assert [
        line
        for _, line in lines
        if re.search(r"(?<!safetensors\.)torch\.load\(", line) and "weights_only=True" not in line
    ] == []
    assert [line for _, line in lines if "np.load(" in line and "allow_pickle=False" not in line] == []
    assert [
        line for _, line in lines if re.search(r"pickle\.loads?\(|shell=True|yaml\.(unsafe_)?load\(|os\.system\(", line)
    ] == []


class Tags(HTMLParser):
    """The tags of a page, and its attributes that run something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handlers += [name for name, value in attributes if name.startswith("on") or "javascript:" in (value or "")]


HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{body}{title}</title>"


def test_the_listening_page_runs_nothing_of_a_name():
    found = Tags(document.assemble(HOSTILE, [document.facts("The environment", {HOSTILE: HOSTILE})]))
    plain = Tags(document.assemble("a", [document.facts("The environment", {"a": "b"})]))
    assert found.tags == plain.tags and found.handlers == plain.handlers == []


@pytest.mark.parametrize(
    "word", ["acme; touch made", "$(touch made)", "`touch made`", "acme\ntouch made", "-r https://x"]
)
def test_what_a_recipe_says_of_a_plugin_is_shown_as_one_word_of_a_shell(word):
    shown = way(word)
    assert shown == word or (shlex.split(shown)[:2] == ["pip", "install"] and len(shlex.split(shown)) == 3)
    assert not shown.startswith("pip install") or shlex.split(shown)[2] == word


def test_the_command_to_go_on_with_is_quoted():
    given = ["--exp", "a b; touch made", "--set", "name=$(touch made)", "--data", "it's"]
    shown = continuation(("gansemble", "run"), given, BY_NAME["train"], False)
    assert shlex.split(shown) == ["gansemble", "run", *given, "--stage", "3"]
