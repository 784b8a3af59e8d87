"""The pages of docs/ hold what the site generates, so that they can be read in the repository without a build."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


@pytest.mark.slow
def test_every_page_is_as_it_would_be_written():
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "whole_pages.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nrun: python tools/whole_pages.py"


@pytest.mark.parametrize("page", PAGES, ids=[path.relative_to(ROOT).as_posix() for path in PAGES])
def test_no_directive_is_left_without_what_it_stands_for(page):
    lines = page.read_text(encoding="utf-8").splitlines()
    directives = [n for n, line in enumerate(lines) if line.startswith(("<!-- generate: ", "::: "))]
    fences, inside = set(), False
    for number, line in enumerate(lines):
        inside ^= line.startswith("```")
        fences |= {number} if inside else set()
    for number in (n for n in directives if n not in fences):
        rest = next(n for n in range(number + 1, len(lines)) if lines[n] and not lines[n].startswith("    "))
        assert lines[rest] == "<!-- for readers of the repository -->", f"line {number + 1}"
        assert "<!-- end -->" in lines[rest:]
