"""Writes into the pages of docs/ what the site generates, so that they can be read in the repository without a build.

    python tools/whole_pages.py           # writes
    python tools/whole_pages.py --check   # exits 1 when a page is not as it would be written

Below each line ``<!-- generate: … -->`` and each ``::: module.Name`` comes a block between two comments, which the site leaves
out: docs/hooks.py and mkdocstrings make its own.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))

import hooks  # noqa: E402

from gansemble import numbers  # noqa: E402
from gansemble.recipe import types  # noqa: E402

API = re.compile(r"^::: ([\w.]+)\n((?:    .*\n?|\n(?=    ))*)", re.MULTILINE)
REFERENCE = re.compile(r"\[([^\]\[]+)\]\[[\w.]*\]")


def whole(page: Path) -> str:
    """A page with everything that the site generates below its directive."""
    text = hooks.WHOLE.sub("", page.read_text(encoding="utf-8"))
    text = hooks.DIRECTIVE.sub(lambda match: _below(match[0], _generated(match, page)), text)
    return API.sub(lambda match: _below(match[0].rstrip("\n"), documentation(match[1])) + "\n", text)


def _below(directive: str, content: str) -> str:
    return f"{directive}\n\n<!-- for readers of the repository -->\n{content}\n<!-- end -->"


def _generated(match: re.Match[str], page: Path) -> str:
    name, arguments = match[1], match[2].split()
    if name == "cards":  # with line numbers, which every change of the code would move
        cards = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("plugins/*/*/fidelity.yaml"))
        return "\n".join(f"* `{card}`" for card in cards)
    if name == "results":  # they stand in these files already
        return "\n".join(f"* `{readme}`" for readme in hooks.readmes.with_results())
    made = hooks.GENERATORS[name](*arguments)
    made = (
        made.split("\n\n::: ")[0] if name == "parts" else made
    )  # the table; gansemble describe KIND NAME tells the rest
    return REFERENCE.sub(r"\1", made)


def documentation(name: str) -> str:
    """The documentation of a module, class or function as it is written in the code."""
    found = _found(name)
    members = list(_members(found)) if isinstance(found, ModuleType) else [(name.rpartition(".")[2], found)]
    head = (inspect.getdoc(found) or "") + "\n\n" if isinstance(found, ModuleType) else ""
    return head + "\n\n".join(hooks.fence("text", _entry(label, member)) for label, member in members)


def _found(name: str) -> object:
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = vars(found)[part]
        return found
    raise LookupError(f"{name}: no such module")


def _members(module: ModuleType) -> Iterator[tuple[str, object]]:
    """The public classes and functions of a module: those in its ``__all__``, or else those that it defines."""
    names = vars(module).get("__all__")
    for name, found in vars(module).items():
        documented = inspect.isclass(found) or inspect.isfunction(found)
        own = name in names if names is not None else found.__module__ == module.__name__ if documented else False
        if documented and own and not name.startswith("_"):
            yield name, found


def _entry(name: str, found: object) -> str:
    """A signature and a docstring, and those of the public methods of a class."""
    lines = [f"{name}{_signature(found)}", *_indented(inspect.getdoc(found) or "")]
    if inspect.isclass(found):
        for label, member in vars(found).items():
            function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
            function = member.fget if isinstance(member, property) else function
            if inspect.isfunction(function) and not label.startswith("_") and inspect.getdoc(function):
                shown = "" if isinstance(member, property) else _signature(function)
                lines += ["", *_indented(f"{label}{shown}"), *_indented(inspect.getdoc(function) or "", 8)]
    return "\n".join(lines)


def _signature(found: object) -> str:
    try:
        shown = str(_with_ranges(found, inspect.signature(found))) if callable(found) else ""
        return re.sub(
            r"<(\w+) ?[^<>]*(?:<[^<>]*>)?[^<>]* at 0x[0-9a-f]+>", r"<\1>", shown
        )  # an address is another each time
    except (TypeError, ValueError):
        return ""


def _with_ranges(found: Callable[..., object], signature: inspect.Signature) -> inspect.Signature:
    """A signature in which the types of parameters show the ranges that are stated in them."""
    try:
        hints = types.ranged_hints(found)
    except (NameError, TypeError):  # names that are imported for type checkers only
        return signature
    stated = {name: types.show(hint) for name, hint in hints.items() if numbers.ranged(hint)}
    return signature.replace(
        parameters=[
            each.replace(annotation=stated.get(name, each.annotation)) for name, each in signature.parameters.items()
        ]
    )


def _indented(text: str, by: int = 4) -> list[str]:
    return [f"{' ' * by}{line}".rstrip() for line in text.splitlines()]


def main() -> int:
    """Writes the pages, or says which are not as they would be written."""
    hooks.on_startup()
    stale = []
    for page in sorted((ROOT / "docs").rglob("*.md")):
        text = whole(page)
        if text != page.read_text(encoding="utf-8"):
            stale.append(page.relative_to(ROOT))
            if "--check" not in sys.argv:
                page.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name}: {'not as tools/whole_pages.py writes it' if '--check' in sys.argv else 'written'}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
