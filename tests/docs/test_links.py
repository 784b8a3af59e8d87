"""The documentation without building it: links lead somewhere, and every kind, section, variable and dependency is there."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from pathlib import Path

import pytest
import yaml

from gansemble.plugins.loading import Plugins
from gansemble.plugins.registry import KINDS
from gansemble.recipe import schema
from gansemble.recipe.sections import SECTIONS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *ROOT.glob("plugins/*/*/README.md"),
        *ROOT.glob("egs/*/*/README.md"),
        *ROOT.glob("examples/**/README.md"),
        *DOCS.glob("**/*.md"),
    ]
)
LINK = re.compile(r"!?\[[^\]\[]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
CODE = re.compile(r"^( *)(```|~~~).*?^\1\2\s*$|``.*?``|`[^`\n]*`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.MULTILINE)
FENCE = re.compile(r"^( *)(```|~~~).*?^\1\2\s*$", re.MULTILINE | re.DOTALL)


def faults(page: Path, text: str) -> list[str]:
    """The relative links of a page that lead nowhere."""
    found = []
    for target in LINK.findall(CODE.sub("", text)):
        if re.match(r"[a-z][a-z+.-]*:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists():
            found.append(f"{target}: no such file")
        elif DOCS in page.parents and DOCS not in file.parents:
            found.append(f"{target}: leads out of docs/, where the site cannot follow")
        elif anchor and file.suffix == ".md":
            slug = site_slug if DOCS in page.parents else forge_slug
            own = text if file == page else file.read_text(encoding="utf-8")
            if anchor not in {slug(heading) for heading in HEADING.findall(FENCE.sub("", own))}:
                found.append(f"{target}: no such heading")
    return found


def site_slug(heading: str) -> str:
    """A heading's anchor on the site."""
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def forge_slug(heading: str) -> str:
    """A heading's anchor where repositories are shown."""
    return re.sub(r"[^\w\s-]", "", heading).strip().lower().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=[str(path.relative_to(ROOT)) for path in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    """And there is a page: one emptied by accident has no link that leads nowhere."""
    text = page.read_text(encoding="utf-8")
    assert HEADING.search(text), "no heading"
    assert faults(page, text) == []


@pytest.mark.parametrize(
    ("page", "text", "expected"),
    [
        ("README.md", "[a](absent.md)", "no such file"),
        ("README.md", "# Here\n[a](#there)", "no such heading"),
        ("README.md", "[a](CONTRIBUTING.md#absent)", "no such heading"),
        ("docs/index.md", "[a](recipes.md#absent)", "no such heading"),
        ("docs/kinds/loss.md", "[a](../../README.md)", "leads out of docs/"),
        ("docs/kinds/loss.md", "[a](generator.md)[b](absent.md)", "absent.md"),
    ],
)
def test_links_that_lead_nowhere_are_found(page: str, text: str, expected: str) -> None:
    (fault,) = faults(ROOT / page, text)
    assert expected in fault


def test_links_that_lead_somewhere_are_let_pass() -> None:
    """Other places' addresses, code, headings with signs, and folders."""
    text = (
        "# One, two – `three`\n[a](https://x.y/z) `[b](absent)` [c](#one-two-three) [d](docs)\n```\n[e](absent)\n```\n"
    )
    assert faults(ROOT / "README.md", text.replace(" – ", " ")) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_page(kind: str) -> None:
    """With its call, its promises, its example and its parts, in the site's navigation."""
    page = (DOCS / "kinds" / f"{kind}.md").read_text(encoding="utf-8")
    directives = re.findall(r"<!-- generate: (.*?) -->", page)
    assert {f"{name} {kind}" for name in ("line", "calls", "promises", "parts")} <= set(directives)
    assert f"source toolkit/gansemble/scaffold/parts/{kind}.py" in directives
    assert any(directive.startswith("contract ") for directive in directives) or kind == "optimiser"
    assert f"kinds/{kind}.md" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def test_every_section_of_a_recipe_is_explained() -> None:
    text = (DOCS / "recipes.md").read_text(encoding="utf-8")
    sections = {"name", "include", "plugins", "audio", *SECTIONS, *schema.SINGLE, *schema.MANY}
    assert sections <= set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def test_every_environment_variable_is_explained() -> None:
    sources = [*ROOT.glob("toolkit/gansemble/**/*.py"), *ROOT.glob("plugins/**/*.py"), *ROOT.glob("egs/_shared/*.sh")]
    read = {name for path in sources for name in re.findall(r"GANSEMBLE_[A-Z_]+[A-Z]", path.read_text("utf-8"))}
    text = (DOCS / "plugins.md").read_text(encoding="utf-8")
    assert read == set(re.findall(r"^\| `(GANSEMBLE_\w+)` \|", text, re.MULTILINE))


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    names = {match[0] for line in lines if (match := re.match(r"[\w.-]+", line))} - {"gansemble"}
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Dependencies")[2]
    named = {name for row in re.findall(r"^\| (.*?) \|", table, re.MULTILINE) for name in re.findall(r"[\w.-]+", row)}
    assert names <= named


@pytest.mark.slow
def test_the_single_file_plugin_shown_is_one() -> None:
    plugins = Plugins(discover=False, files=[DOCS / "snippets" / "my_plugin.py"])
    assert not plugins.registry.broken
    (entry,) = plugins.registry.entries()
    assert entry.load()(margin=1.0).margin == 1.0


def test_the_site_takes_nothing_from_a_network() -> None:
    """No web fonts; the search script that the theme would load from elsewhere is a file."""
    text = re.sub(r"!!\S+", "", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    settings = yaml.load(text, yaml.SafeLoader)
    assert settings["theme"]["font"] is False
    files = [*settings["extra"]["polyfills"], *settings["extra_css"], *settings.get("extra_javascript", [])]
    assert any("iframe-worker" in file for file in files) and all((DOCS / file).is_file() for file in files)
