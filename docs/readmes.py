"""The READMEs of recipes and plugins as pages of the site, and the measured results in them on one page.

They stay where they are: a page ``readmes/…`` is made of each when the site is built, so that nothing is written twice.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Where README files are whose pages are made.
PLACES = ("egs/*/*/README.md", "plugins/gansemble_plugins/*/README.md")
LINK = re.compile(r"(?<!!)\[([^\]\[]*)\]\(([^)\s]+)\)")
HEADING = re.compile(r"^(#+) +(.*)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def sources() -> list[Path]:
    """The README files, in order, relative to the tree."""
    return [path.relative_to(ROOT) for place in PLACES for path in sorted(ROOT.glob(place))]


def page_of(readme: Path) -> str:
    """The site's page of a README, such as ``readmes/ljspeech-hifigan.md``, or ``readmes/plugin-hifigan.md``."""
    *_, outer, inner = readme.parent.parts
    return f"readmes/{f'{outer}-{inner}' if readme.parts[0] == 'egs' else f'plugin-{inner}'}.md"


def pages() -> Iterator[tuple[str, str]]:
    """(page, its Markdown) of each README."""
    for readme in sources():
        page = page_of(readme)
        text = (ROOT / readme).read_text(encoding="utf-8")
        yield page, linked(text, readme, page) + f"\n\nThis page is `{readme.as_posix()}` of the source tree.\n"


def linked(text: str, readme: Path, page: str) -> str:
    """The text of a README whose links lead where they lead on the site; a file that the site has not is named.

    Args:
        text: of the README, or a part of it.
        readme: where it is, relative to the tree.
        page: of the site, on which it is shown.
    """

    def moved(match: re.Match[str]) -> str:
        label, target = match.groups()
        if re.match(r"[a-z][a-z+.-]*:", target):
            return match[0]
        name, hash_, anchor = target.partition("#")
        place = posixpath.normpath(posixpath.join(readme.parent.as_posix(), name)) if name else readme.as_posix()
        found = _on_site(Path(place))
        if found is None:
            return f"{label} (`{place}`)" if label != place else f"`{place}`"
        return f"[{label}]({posixpath.relpath(found, posixpath.dirname(page))}{hash_}{anchor})"

    return LINK.sub(moved, text)


def _on_site(file: Path) -> str | None:
    if file in sources():
        return page_of(file)
    return file.relative_to("docs").as_posix() if file.parts[:1] == ("docs",) and file.suffix == ".md" else None


def section(text: str) -> str | None:
    """The part of a README below its heading ``## Results…``, up to the next of that level; None where it has none."""
    codes = [match.span() for match in FENCE.finditer(text)]
    heads = [head for head in HEADING.finditer(text) if not _within(head.start(), codes)]
    for place, head in enumerate(heads):
        if head[1] == "##" and head[2].startswith("Results"):
            end = next((each.start() for each in heads[place + 1 :] if len(each[1]) <= 2), len(text))
            return text[head.end() : end].strip()
    return None


def lowered(text: str) -> str:
    """A text whose headings are one level lower; what stands in blocks of code is left as it is."""
    codes = [match.span() for match in FENCE.finditer(text)]
    return HEADING.sub(lambda head: head[0] if _within(head.start(), codes) else f"#{head[0]}", text)


def _within(place: int, spans: list[tuple[int, int]]) -> bool:
    return any(begin <= place < end for begin, end in spans)


def title(text: str) -> str:
    """The first heading of a page."""
    found = HEADING.search(text)
    return found[2] if found else ""


def with_results() -> list[str]:
    """The READMEs of recipes that hold results, in order, relative to the tree."""
    recipes = [readme for readme in sources() if readme.parts[0] == "egs"]
    return [each.as_posix() for each in recipes if section((ROOT / each).read_text(encoding="utf-8")) is not None]


def results(page: str) -> str:
    """The results that recipes' READMEs hold, one after the other, and a list of those recipes that have none."""
    shown, without = [], []
    for readme in (each for each in sources() if each.parts[0] == "egs"):
        text = (ROOT / readme).read_text(encoding="utf-8")
        name, own = title(text), posixpath.relpath(page_of(readme), posixpath.dirname(page))
        found = section(text)
        if found is None:
            without.append(f"* [{name}]({own})")
            continue
        text = linked(lowered(found), readme, page)
        shown.append(f"### {name}\n\n[The recipe]({own}) says what its configurations are.\n\n{text}")
    return "\n\n".join([*shown, "### Recipes without a result of ours", "\n".join(without)])
