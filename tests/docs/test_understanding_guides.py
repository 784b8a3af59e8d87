"""What the guides to curves, trouble, choosing and migrating say is in the code: messages, keys, recipes, results, pictures."""

from __future__ import annotations

import ast
import functools
import re
import sys
from pathlib import Path

import pytest

from gansemble.plugins.loading import registry
from gansemble.recipe import check
from gansemble.recipe.fill import fill, flatten

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "guides"
PAGES = ("reading-curves", "trouble", "choosing", "migrating", "glossary", "results")
#: A message of the toolkit as a guide quotes it; an ellipsis stands for a value.
QUOTED = re.compile(r"^> `(.+)`$", re.MULTILINE)
#: Lines for a recipe, and the recipe they are for.
REMEDY = re.compile(r"^<!-- on: (\S+) -->\n```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: A key of a recipe in the middle column of a table of keys.
ROW = re.compile(r"^\|[^|\n]*\|([^|\n]*)\|[^|\n]*\|$", re.MULTILINE)
PICTURE = re.compile(r"!\[([^\]]+)\]\(\.\./assets/(curves-\w+\.png)\)")


def text_of(page: str) -> str:
    return (GUIDES / f"{page}.md").read_text(encoding="utf-8")


@functools.cache
def sentences() -> str:
    """All strings of the code, one a line, with an ellipsis where a value is put in."""
    found = []
    for path in sorted([*ROOT.glob("toolkit/**/*.py"), *ROOT.glob("plugins/**/*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(str(each.value) if isinstance(each, ast.Constant) else "…" for each in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


MESSAGES = [(page, said) for page in PAGES for said in QUOTED.findall(text_of(page))]
REMEDIES = [(page, *found) for page in PAGES for found in REMEDY.findall(text_of(page))]


@pytest.mark.parametrize(("page", "said"), MESSAGES, ids=[f"{page}-{said[:40]}" for page, said in MESSAGES])
def test_quoted_messages_are_said(page: str, said: str) -> None:
    """A part of the code's own string, with an ellipsis for each value in it."""
    assert said.strip() in sentences(), f"{page}.md quotes what no code says: {said}"


def test_messages_are_quoted() -> None:
    """Or the test before would test nothing."""
    assert len(MESSAGES) > 15 and "a message that no code has" not in sentences()


@pytest.mark.parametrize(
    ("page", "recipe", "lines"), REMEDIES, ids=[f"{page}-{n}" for n, (page, *_) in enumerate(REMEDIES)]
)
def test_remedies_are_lines_of_a_valid_recipe(page: str, recipe: str, lines: str, tmp_path: Path) -> None:
    path = tmp_path / "remedy.yaml"
    path.write_text(f"include: [{ROOT / recipe}]\n{lines}", encoding="utf-8")
    check.load(path)


def test_every_remedy_says_what_it_is_for() -> None:
    """A block of YAML without a recipe before it would be checked by nobody."""
    for page in PAGES:
        blocks = len(re.findall(r"^```yaml$", text_of(page), re.MULTILINE))
        assert blocks == len(REMEDY.findall(text_of(page))), page


def known_keys() -> set[str]:
    """The keys of a filled recipe, and each parameter that an optimiser or a schedule has there."""
    names = set(flatten(fill(check.load(ROOT / "docs" / "snippets" / "migrated.yaml"))))
    return names | {name.rpartition(".")[0] for name in names}


def test_keys_of_ours_exist() -> None:
    """Those that tables of the migration guide name; NAME stands for a name of one's own."""
    known = known_keys()
    named = {
        key.replace("losses.NAME", "losses.mel")
        for cell in ROW.findall(text_of("migrating"))
        for key in re.findall(r"`([a-z_]+\.[\w.]+)`", cell)
        if key.partition(".")[0] in {each.partition(".")[0] for each in known}
    }
    assert len(named) > 50
    assert sorted(named - known) == []


def test_parts_that_are_recommended_exist() -> None:
    """By name, as they stand in the columns and lists of the choosing guide."""
    parts = {entry.name for entry in registry().entries()}
    for name in (
        "hifigan",
        "vocos",
        "bigvgan",
        "istftnet",
        "unit_hifigan",
        "specgan",
        "wavegan",
        "gansynth",
        "augment",
    ):
        assert f"`{name}`" in text_of("choosing") and name in parts, name
    for folder in re.findall(r"`(egs/[\w/]+)`", text_of("choosing")):
        assert (ROOT / folder).is_dir(), folder


def test_pictures_are_small_and_described() -> None:
    shown = PICTURE.findall(text_of("reading-curves"))
    assert [name for _, name in shown] == [f"curves-{run}.png" for run in ("healthy", "won", "overfitting", "collapse")]
    for told, name in shown:
        assert len(told) > 30, f"{name}: say in words what is seen"
        assert (ROOT / "docs" / "assets" / name).stat().st_size < 60_000


@pytest.fixture
def readmes(monkeypatch: pytest.MonkeyPatch):
    """The module of docs/ that makes pages of READMEs."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import readmes as module

    yield module
    sys.modules.pop("readmes", None)


def test_every_readme_has_a_page_of_its_own(readmes) -> None:
    made = dict(readmes.pages())
    assert (
        len(made)
        == len(readmes.sources())
        == len([*ROOT.glob("egs/*/*/README.md"), *ROOT.glob("plugins/*/*/README.md")])
    )
    assert "readmes/ljspeech-hifigan.md" in made and "readmes/plugin-hifigan.md" in made


def test_links_of_readmes_lead_to_pages_of_the_site(readmes) -> None:
    there = {
        *dict(readmes.pages()),
        *(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")),
    }
    for page, text in [*readmes.pages(), ("guides/results.md", readmes.results("guides/results.md"))]:
        for _, target in readmes.LINK.findall(text):
            if not re.match(r"[a-z][a-z+.-]*:|#", target):
                place = (ROOT / "docs" / page).parent / target.partition("#")[0]
                assert place.resolve().relative_to(ROOT / "docs").as_posix() in there, f"{page}: {target}"


def test_results_are_those_of_the_readmes(readmes) -> None:
    """Tables word for word, and a name for each recipe that has none."""
    made = readmes.results("guides/results.md")
    assert "| R3GAN's objective (BigGAN's networks) | none in 3 | 36.6 [34.8, 38.2]" in made
    for readme in (each for each in readmes.sources() if each.parts[0] == "egs"):
        text = (ROOT / readme).read_text(encoding="utf-8")
        assert readmes.title(text) in made
        tables = re.findall(r"^\|.*\|$", readmes.section(text) or "", re.MULTILINE)
        assert all(row in made for row in tables)


def test_a_section_of_results_ends_where_the_next_begins(readmes) -> None:
    text = "# A\n\n## Results of ours\n\nfirst\n\n```\n## no heading\n```\n\n### More\n\n## Else\n\nlast\n"
    assert readmes.section(text) == "first\n\n```\n## no heading\n```\n\n### More"
    assert readmes.lowered(readmes.section(text)).endswith("```\n## no heading\n```\n\n#### More")
    assert readmes.section("# A\n\n## Other\n") is None
