"""Every registered part keeps its kind's promises, so a new part is tested by existing."""

from typing import Any

import pytest

from gansemble.errors import MissingNeed
from gansemble.plugins import loading
from gansemble.plugins.registry import KINDS, Entry
from gansemble.testing import conformance

ENTRIES = loading.registry().entries()
CASES = [
    pytest.param(entry, check, id=f"{entry.kind}-{entry.plugin}/{entry.name}-{check.__name__}")
    for entry in ENTRIES
    for check in conformance.CHECKS[entry.kind]
]
conformance.note(ENTRIES)


@pytest.mark.parametrize(("entry", "check"), CASES)
def test_a_part_keeps_its_kinds_promises(entry: Entry, check: Any) -> None:
    """One promise of one part; skipped where the part needs a package or a file that is not here."""
    try:
        conformance.hold(entry, check)
    except MissingNeed as missing:
        pytest.skip(str(missing))


def test_every_kind_has_promises() -> None:
    """A kind without any would make its parts conform to nothing."""
    assert all(len(conformance.CHECKS[kind]) >= 5 for kind in KINDS)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "regulariser"])
def test_built_in_parts_of_every_kind_are_registered(kind: str) -> None:
    """The tests above are not empty."""
    assert any(entry.kind == kind for entry in ENTRIES)


def test_no_plugin_is_broken_or_ambiguous() -> None:
    """What ships loads, and no name is given twice."""
    registry = loading.registry()
    assert not registry.broken and not registry.ambiguous()
