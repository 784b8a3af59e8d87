"""The pages' examples of parts keep the conformance kit's promises, and every ability is listed with all its members."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from pathlib import Path

import pytest

from gansemble import abilities
from gansemble.plugins.registry import Entry
from gansemble.testing import conformance

DOCS = Path(__file__).parents[2] / "docs"
#: The part in each file of ``docs/snippets``, and the pages that show it.
SNIPPETS = {
    "slope": ("regulariser", "Slope", ["kinds/regulariser.md"]),
    "consistency": ("regulariser", "Consistency", ["kinds/regulariser.md"]),
    "following": ("noise_injector", "Following", ["abilities.md"]),
    "weighted_spectrum": ("loss", "WeightedSpectrum", ["abilities.md"]),
    "speaker": ("discriminator", "Speaker", ["kinds/discriminator.md"]),
}
#: Those that other tests hold: single-file plugins of several parts, and the page on pretrained networks.
ELSEWHERE = {"my_plugin", "two_ways", "perceptual"}
CASES = [(name, check) for name, (kind, *_) in SNIPPETS.items() for check in conformance.CHECKS[kind]]
PAGE = (DOCS / "abilities.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| \[(\w+)\]\[gansemble\.abilities\.\w+\] \| (.*?) \| (.*) \|$", re.MULTILINE)


@pytest.fixture
def entry(monkeypatch):
    """The part of a snippet, which is imported by its file's name, here and in other processes."""
    monkeypatch.syspath_prepend(str(DOCS / "snippets"))

    def find(name: str) -> Entry:
        kind, part, _ = SNIPPETS[name]
        return Entry(kind, name, f"{name}:{part}", "", name, {})

    return find


@pytest.mark.slow
@pytest.mark.parametrize(("name", "check"), CASES, ids=[f"{name}-{check.__name__}" for name, check in CASES])
def test_a_part_that_a_page_shows_keeps_its_promises(entry, name: str, check: conformance.Check) -> None:
    """It could be taken from the page."""
    conformance.hold(entry(name), check)


@pytest.mark.parametrize("name", SNIPPETS)
def test_the_examples_are_shown(name: str) -> None:
    """On the pages that speak of them."""
    for page in SNIPPETS[name][2]:
        assert f"<!-- generate: source docs/snippets/{name}.py -->" in (DOCS / page).read_text(encoding="utf-8")


def test_every_python_snippet_is_tested() -> None:
    """Here, or by the tests of the pages that show them."""
    assert {path.stem for path in (DOCS / "snippets").glob("*.py")} == {*SNIPPETS, *ELSEWHERE}


def members(ability: type) -> set[str]:
    """What a Protocol has of its own."""
    names = {name for name, each in vars(ability).items() if inspect.isfunction(each) or isinstance(each, staticmethod)}
    return {name for name in names | set(inspect.get_annotations(ability)) if not name.startswith("_")}


def test_every_ability_is_listed_with_all_its_members() -> None:
    """And with nothing else: a member that is not there would be misspelt by whoever reads the page."""
    rows = {name: set(re.findall(r"`(\w+)[`(]", text)) for name, text, _ in ROW.findall(PAGE)}
    there = {
        name: each for name, each in vars(abilities).items() if isinstance(each, type) and name in abilities.__all__
    }
    del there["LabelledAudio"]  # what a FittedMetric is given, and no ability of a part
    assert rows.keys() == there.keys()
    for name, each in there.items():
        assert rows[name] == members(each), name


def test_arguments_are_those_of_the_protocols() -> None:
    """In their order; an ellipsis stands for those of the ability before."""
    for name, text, _ in ROW.findall(PAGE):
        for method, given in re.findall(r"`(\w+)\(([^`)]*)\)`", text):
            known = [each for each in inspect.signature(getattr(getattr(abilities, name), method)).parameters]
            shown = [word for word in given.split(", ") if word]
            rest = known[known.index(shown[1]) :] if shown[:1] == ["…"] else None
            expected = [each for each in (rest or known) if each not in ("self", "confidence" if rest else "")]
            assert [word for word in shown if word != "…"] == expected, (name, method)


def test_the_page_is_found() -> None:
    """From the navigation, and from the pages of the kinds that have abilities."""
    assert "abilities.md" in (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    for page in ("contracts.md", "kinds/loss.md", "kinds/noise_injector.md"):
        assert "abilities.md" in (DOCS / page).read_text(encoding="utf-8")


def test_snippets_shadow_no_module() -> None:
    """Their names are importable while a test of them runs."""
    for name in SNIPPETS:
        assert importlib.util.find_spec(name) is None or name in sys.modules
