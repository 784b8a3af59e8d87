"""What the pages leave to be generated: ``<!-- generate: NAME ARGUMENTS -->`` on a line of its own becomes Markdown.

Everything comes from the installed toolkit, its plugins and this tree, in a fixed order, so that the same tree gives the
same pages; plugins of others that happen to be installed are left out.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib.metadata
import inspect
import os
import re
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any, cast

import readmes

ROOT = Path(__file__).resolve().parent.parent
DIRECTIVE = re.compile(r"^<!-- generate: (\w+) ?(.*?) -->$", re.MULTILINE)
#: What ``tools/whole_pages.py`` writes below directives for readers of the repository; the site makes its own of them.
WHOLE = re.compile(r"\n\n<!-- for readers of the repository -->\n.*?\n<!-- end -->(?=\n|\Z)", re.DOTALL)
#: Columns of the help texts, so that the terminal's width changes nothing.
WIDTH = 100


def on_startup(**_: Any) -> None:
    """Only the toolkit's own plugins, and each of them in order."""
    points = importlib.metadata.entry_points(group="gansemble.plugins")
    own = [point.name for point in points if point.dist is not None and point.dist.name == "gansemble"]
    os.environ |= {"GANSEMBLE_PLUGINS": ",".join(sorted(own)), "GANSEMBLE_STRICT": "1"}
    from gansemble.plugins.loading import registry

    registry().disabled.clear()  # messages would name them


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A page with its directives replaced.

    Raises:
        ValueError: if a directive is unknown.
    """

    markdown = WHOLE.sub("", markdown)

    def replaced(match: re.Match[str]) -> str:
        name, arguments = match[1], match[2].split()
        if name not in GENERATORS:
            raise ValueError(f"generate: {name}: expected one of {', '.join(GENERATORS)}")
        return GENERATORS[name](*arguments)

    with contextlib.chdir(ROOT):  # messages name files as they are called from there
        return DIRECTIVE.sub(replaced, markdown)


def on_files(files: Any, config: Any) -> Any:
    """Adds a page for each README of recipes and plugins; they are found from the page of results, not from the navigation."""
    from mkdocs.structure.files import File, InclusionLevel

    for page, text in readmes.pages():
        files.append(File.generated(config, page, content=text, inclusion=InclusionLevel.NOT_IN_NAV))
    return files


# kinds ------------------------------------------------------------------


def kinds() -> str:
    """Every kind: its page, its line in a recipe, its entry-point group."""
    from gansemble.plugins.registry import GROUPS, KINDS
    from gansemble.scaffold import KIND_LINES

    rows = [(f"[{kind}](kinds/{kind}.md)", f"`{KIND_LINES[kind][0]}`", f"`{GROUPS[kind]}`") for kind in KINDS]
    return table(("kind", "in a recipe", "entry-point group of single parts"), rows)


def calls(kind: str) -> str:
    """How the toolkit calls a part of the kind."""
    from gansemble.cli import describe_kind

    return fence("python", "\n".join(describe_kind.calls(kind)))


def line(kind: str) -> str:
    """The line of a recipe that names a part of the kind."""
    from gansemble.scaffold import KIND_LINES

    return fence("yaml", KIND_LINES[kind][0])


def contract(kind: str) -> str:
    """The class of contract that parts of a kind have, and its keys with their meaning, from docstrings."""
    from gansemble.cli import describe_kind
    from gansemble.contract import OF_KIND, Contract

    family, known = OF_KIND.get(kind, Contract), describe_kind.contract_keys(kind)
    told = f"Its [contract](../contracts.md) is a [{family.__name__}][gansemble.contract.{family.__name__}]:"
    return f"{told}\n\n" + table(("key", "meaning"), [(f"`{key}`", text) for key, text in known.items()])


def promises(kind: str) -> str:
    """What the conformance kit holds a part of the kind to."""
    from gansemble.cli import describe_kind

    return table(("promise", "what is demanded"), list(describe_kind.promises(kind).items()))


def parts(kind: str) -> str:
    """The built-in parts of a kind: a table, then each part's own docstring."""
    from gansemble.plugins.loading import registry

    entries = [(entry, entry.target.replace(":", ".")) for entry in registry().entries(kind)]
    if not entries:
        return "The toolkit's own plugins bring none."
    rows = [(f"[`{entry.name}`][{target}]", entry.plugin, plain(entry.summary)) for entry, target in entries]
    options = "".join(
        f"      {option}\n"
        for option in (
            "heading_level: 3",
            "members: false",
            "show_symbol_type_heading: false",
            "show_symbol_type_toc: false",
        )
    )
    details = [
        f"::: {target}\n    options:\n      heading: {entry.name}\n      toc_label: {entry.name}\n{options}"
        for entry, target in entries
    ]
    return table(("use", "plugin", "what it is"), rows) + "\n\n" + "\n".join(details)


def source(path: str) -> str:
    """A file of the tree, whole."""
    languages = {".py": "python", ".yaml": "yaml", ".toml": "toml"}
    return fence(languages[Path(path).suffix], Path(path).read_text(encoding="utf-8"), path)


def ranges() -> str:
    """The names for ranges of numbers that the toolkit has, with what each takes and what it is for."""
    from gansemble import numbers
    from gansemble.recipe import types

    told = re.findall(r"^#: (.*)\n((?:#: .*\n)*)(\w+) = Annotated\[", inspect.getsource(numbers), re.MULTILINE)
    rows = []
    for first, rest, name in told:
        meaning = " ".join([first, *(each.removeprefix("#: ") for each in rest.splitlines())])
        rows.append((f"`{name}`", types.show(getattr(numbers, name)), meaning))
    return table(("name", "takes", "what it is for"), rows)


# recipes ----------------------------------------------------------------


def recipe(path: str) -> str:
    """A recipe of the tree, which has to be without fault."""
    from gansemble.recipe import check

    check.load(Path(path))
    return source(path)


def refused(path: str) -> str:
    """A recipe of the tree, which has to be at fault, and what ``gansemble check`` says of it."""
    from click.testing import CliRunner

    from gansemble.cli import group
    from gansemble.errors import GansembleError

    result = CliRunner().invoke(group, ["check", path])
    if not isinstance(result.exception, GansembleError):
        raise ValueError(f"generate: refused: {path} was to be refused, got {result.output or result.exception!r}")
    said = f"$ gansemble check {path}\n{result.output}error: {result.exception}"
    return f"{source(path)}\n\n{fence('{ .text .message }', said)}"


def rules() -> str:
    """Every rule between parts, and every limit of the sections."""
    from gansemble.recipe.rules.examine import RULES
    from gansemble.recipe.rules.ranges import LIMITS

    return table(("rule", "what is refused"), [(rule.__name__, summary(rule)) for rule in (*RULES, *LIMITS)])


def abilities() -> str:
    """Abilities the toolkit knows, and what is said when nothing gives one."""
    from gansemble.recipe.rules.abilities import ABILITIES

    return table(("ability", "when no part gives it"), [(f"`{name}`", text) for name, text in ABILITIES.items()])


def results() -> str:
    """What recipes' READMEs say was measured; the site's pages of READMEs are there only once it is built."""
    return readmes.results("guides/results.md")


# plugins ----------------------------------------------------------------


def groups() -> str:
    """The entry-point group of each kind."""
    from gansemble.plugins.registry import GROUPS

    return table(("kind", "group"), [(f"[{kind}](kinds/{kind}.md)", f"`{group}`") for kind, group in GROUPS.items()])


def new_plugin(*arguments: str) -> str:
    """The files that ``gansemble plugins new`` writes."""
    import tempfile

    from gansemble import scaffold

    name, *chosen = arguments
    with tempfile.TemporaryDirectory() as folder:
        root = scaffold.create(name, chosen, Path(folder))
        files = sorted(path.relative_to(folder) for path in root.rglob("*") if path.is_file())
        init = (root / name / "__init__.py").read_text(encoding="utf-8")
        project = (root / "pyproject.toml").read_text(encoding="utf-8")
    listing = "\n".join(str(path) for path in files)
    return "\n\n".join(
        (
            fence("text", listing),
            fence("toml", project, "pyproject.toml"),
            fence("python", init, f"{name}/__init__.py"),
        )
    )


def checklist() -> str:
    """The checklist of a new plugin's README."""
    text = (ROOT / "toolkit/gansemble/scaffold/README.md.in").read_text(encoding="utf-8")
    return "\n".join(item for item in text.splitlines() if item.startswith("- [ ]"))


def commands() -> str:
    """The help of every command, and of the commands below it."""
    import click

    from gansemble.cli import group

    group.load_plugin_commands()  # type: ignore[attr-defined]
    blocks: list[str] = []

    def add(command: click.Command, context: click.Context) -> None:
        depth = context.command_path.count(" ")
        blocks.append(f"{'#' * min(2 + max(0, depth - 1), 3)} {context.command_path}")
        blocks.append(fence("text", command.get_help(context)))
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                if below is not None and not below.hidden:
                    add(below, click.Context(below, info_name=name, parent=context, terminal_width=WIDTH))

    add(group, click.Context(group, info_name="gansemble", terminal_width=WIDTH, **group.context_settings))
    return "\n\n".join(blocks)


# fidelity cards ---------------------------------------------------------


def cards() -> str:
    """Every plugin's fidelity card, each place with its file and line."""
    from gansemble.recipe import document

    blocks = []
    for path in sorted(Path("plugins/gansemble_plugins").glob("*/fidelity.yaml")):
        plugin, card = path.parent.name, cast(dict[str, Any], document.read(path).value)
        claims = card["claims"]
        differing = sum(claim["deviation"] is not None for claim in claims)
        untested = sum(claim["test"] is None for claim in claims)
        counts = f"{len(claims)} claims, {differing} of them with a deviation, {untested} held by no test. `{path}`"
        rows = "\n".join(claim_row(path.parent, claim) for claim in claims)
        heads = "".join(f"<th>{head}</th>" for head in ("what the paper or its code says", "here", "held by"))
        blocks.append(
            f"## {plugin}\n\n{plain(card['paper'])}\n\n{counts}\n\n"
            f'<table class="card"><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>'
        )
    return "\n\n".join(blocks)


def claim_row(folder: Path, claim: dict[str, Any]) -> str:
    """One claim as a row of HTML."""
    here = shown_place(place(folder, claim["ours"]), claim["ours"].partition(":")[2])
    if claim["deviation"] is not None:
        here += f"<p><strong>Deviation:</strong> {escape(claim['deviation'])}</p><p>{escape(claim['why'])}</p>"
    if claim["test"] is None:
        held = f"<p><em>No test:</em> {escape(claim['untested'])}</p>"
    else:
        file, _, name = claim["test"].partition("::")
        held = shown_place(line_of(Path(file), name), name)
    says = f"<p>{escape(claim['says'])}</p><p><small>{escape(claim['source'])}</small></p>"
    mark = ' class="differs"' if claim["deviation"] is not None else ""
    return f"<tr{mark}><td>{says}</td><td>{here}</td><td>{held}</td></tr>"


def place(folder: Path, named: str) -> str:
    """``file:line`` of ``recipe.yaml:key.path`` or ``file.py:Qualified.name``.

    Raises:
        LookupError: if there is no such file, key or name.
    """
    from gansemble.recipe.compose import compose

    file, _, name = named.partition(":")
    if file.startswith("egs/"):
        marks = compose(ROOT / file).keys
        key = tuple(name.split("."))
        if key not in marks:
            raise LookupError(f"{named}: no such key")
        return f"{marks[key].file}:{marks[key].line}"
    if file.startswith("gansemble/"):
        return line_of(Path("toolkit") / file, name)
    return line_of(Path("plugins") / file if "/" in file else folder / file, name)


def line_of(file: Path, name: str) -> str:
    """``file:line`` where a class, function or variable is defined.

    Raises:
        LookupError: if it is not.
    """
    node: ast.AST = parsed(file)
    for part in name.split("."):
        found = [child for child in ast.iter_child_nodes(node) if part in defined(child)]
        if not found:
            raise LookupError(f"{file}: no {name}")
        node = found[-1]
    return f"{file}:{node.lineno}"  # type: ignore[attr-defined]


def defined(node: ast.AST) -> list[str]:
    """The names a statement defines."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


@functools.cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def shown_place(where: str, name: str) -> str:
    """A name above its file and line, which may be broken at slashes."""
    breakable = escape(where).replace("/", "/<wbr>").replace("_", "_<wbr>")
    return f"<p><code>{escape(name).replace('_', '_<wbr>').replace('.', '.<wbr>')}</code><br><small>{breakable}</small></p>"


# Markdown ---------------------------------------------------------------


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in lines)


def fence(language: str, text: str, title: str = "") -> str:
    """A block of code."""
    head = f'{language} title="{title}"' if title else language
    return f"```{head}\n{text.rstrip()}\n```"


def plain(text: str) -> str:
    """Text in which Markdown sees nothing."""
    return re.sub(r"([\\`*_\[\]])", r"\\\1", text).replace("<", "&lt;")


def summary(function: Any) -> str:
    """A docstring in one line."""
    return " ".join((inspect.getdoc(function) or "").split())


GENERATORS: dict[str, Callable[..., str]] = {
    each.__name__: each
    for each in (
        kinds, calls, line, contract, promises, parts, source, recipe, refused, rules, abilities, new_plugin, groups, ranges,
        checklist, commands, cards, results,
    )
}  # fmt: skip
