"""The conformance kit lets sound parts of unusual kinds pass every promise of their kind."""

import importlib
import sys
from pathlib import Path

import pytest

from gansemble.plugins.registry import Entry
from gansemble.testing import conformance

# The parts are imported by name, here and in the processes that a check starts, which get this process' sys.path.
HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)

#: kind -> the module of the folder ``sound`` and the parts in it.
PARTS = {
    "regulariser": (
        "terms",
        (
            "LazyFirst",
            "LazyLast",
            "LazyByBatch",
            "LazyMean",
            "SeldomAnything",
            "OtherInEachTurn",
            "PathLength",
            "ModeSeeking",
        ),
    ),
    "loss": ("terms", ("LateStart", "LazyPool", "FeaturesOnly", "WeighedBySignals", "FrozenNetwork")),
    "noise_injector": (
        "noise_injectors",
        ("Adaptive", "TwoStatistics", "Annealed", "BeginsLate", "FollowsTheMel"),
    ),
    "discriminator": ("discriminators", ("OfMel", "OfMelAndLabel", "OfFeature", "OfPicturesAndMel")),
    "generator": ("generators", ("PitchAndClass", "CodesBesideMel", "RestoresByClass")),
    "metric": ("others", ("PitchErrors",)),
    "corpus": ("others", ("NamedClasses", "Speakers")),
    "feature": ("others", ("Sounding", "WarmsUp")),
    "schedule": ("others", ("FromZero", "Waits")),
    "optimiser": ("others", ("WarmsUpItself",)),
    "monitor": ("others", ("Looks",)),
    "observer": ("others", ("WritesLogs",)),
    "objective": ("others", ("Compares",)),
}
ENTRIES = [
    Entry(kind, name, f"sound.{module}:{name}", "", "sound", {})
    for kind, (module, names) in PARTS.items()
    for name in names
]
CASES = [(entry, check) for entry in ENTRIES for check in conformance.CHECKS[entry.kind]]
conformance.note(ENTRIES)  # all networks run in one pair of processes


@pytest.mark.parametrize(
    ("entry", "check"), CASES, ids=[f"{entry.kind}-{entry.name}-{check.__name__}" for entry, check in CASES]
)
def test_an_unusual_part_keeps_its_promises(entry: Entry, check: conformance.Check) -> None:
    """Nothing is said of it that is not so."""
    conformance.hold(entry, check)


@pytest.mark.parametrize("module", sorted({module for module, _ in PARTS.values()}))
def test_every_part_of_the_folder_is_tested(module: str) -> None:
    """One that no row names would prove nothing."""
    found = importlib.import_module(f"sound.{module}")
    classes = {
        name for name, each in vars(found).items() if isinstance(each, type) and each.__module__ == found.__name__
    }
    assert classes == {name for place, names in PARTS.values() if place == module for name in names}
