"""What parts declare by attributes and contracts is held to what the toolkit understands, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gansemble.contract import DiscriminatorContract, GeneratorContract
from gansemble.errors import PluginError
from gansemble.plugins import declarations, loading
from gansemble.plugins.registry import Entry
from gansemble.recipe import check
from gansemble.recipe.contract import of_its_kind
from gansemble.recipe.document import RecipeError

ROOT = Path(__file__).resolve().parents[2]
MINI = ROOT / "egs" / "ljspeech" / "hifigan" / "conf" / "mini.yaml"

#: kind, attribute, what is understood, what is not.
DECLARED = [
    ("loss", "turns", frozenset({"generator"}), frozenset({"generater"})),
    ("loss", "turns", {"generator", "discriminator"}, frozenset()),
    ("loss", "turns", frozenset({"discriminator"}), "generator"),
    ("regulariser", "turns", ("discriminator",), ("discriminators",)),
    ("regulariser", "turns", frozenset({"discriminator"}), frozenset({"discriminator", "both"})),
    ("loss", "needs_real_output", True, "no"),
    ("objective", "needs_real_output", False, 0),
    ("noise_injector", "statistic_turn", "generator", "discriminators"),
    ("noise_injector", "statistic_window", "last", "latest"),
    ("regulariser", "adapt_every", 4, 0),
    ("monitor", "every", 1, 0),
    ("monitor", "every", 10, 2.5),
    ("metric", "better", "lower", "less"),
    ("metric", "keys", ("fid",), ()),
    ("metric", "keys", ("fid",), "fid"),
    ("metric", "wants_reference_labels", True, 1),
    ("generator", "alignment", 64, 0),
    ("generator", "context_frames", None, -1),
    ("generator", "context_frames", 12, 1.5),
    ("generator", "learns", False, None),
    ("generator", "standing_passes", 0, True),
    ("discriminator", "items_apart", True, "yes"),
    ("degradation", "margin", 0, -1),
    ("perturbation", "margin", 7, 0.1),
    ("perturbation", "draws", True, "always"),
    ("representation", "domain", "waveform", ""),
    ("representation", "domain", "waveform", None),
]


def part(kind: str, name: str, value: object) -> type:
    """A class with one attribute, and the methods beside which the toolkit looks at it."""
    methods = {each.beside: (lambda self: None) for each in declarations.DECLARED.values() if each.beside}
    turns = {"turns": frozenset({"generator"})} if kind in ("loss", "regulariser") else {}
    return type("Part", (), methods | turns | {name: value})


@pytest.mark.parametrize(("kind", "name", "good", "bad"), DECLARED)
def test_a_class_and_an_object_may_declare_only_what_is_understood(kind, name, good, bad):
    assert declarations.fault(kind, part(kind, name, good)) is None
    assert declarations.fault(kind, part(kind, name, good)()) is None
    for found in (part(kind, name, bad), part(kind, name, bad)()):
        said = declarations.fault(kind, found)
        assert said is not None and said.startswith(f"its {name} must be ") and said.endswith(f"got {bad!r}")


def test_a_property_is_looked_at_when_the_part_is_built():
    class Term:
        """Its constructor decides on its turns."""

        @property
        def turns(self) -> object:
            return frozenset({"both"})

    assert declarations.fault("loss", Term) is None
    assert "got frozenset({'both'})" in (declarations.fault("loss", Term()) or "")


def test_a_built_term_has_turns_and_an_attribute_of_another_kind_means_nothing():
    class Bare:
        """Declares nothing of a term."""

        every = 0
        margin = -3

    assert declarations.fault("loss", Bare) is None, "its constructor may give them"
    assert (declarations.fault("loss", Bare()) or "").startswith("it has no turns: expected a set of")
    assert declarations.fault("generator", Bare()) is None


def test_every_registered_part_declares_what_is_understood():
    found = [(entry.name, declarations.fault(entry.kind, entry.load())) for entry in loading.registry().entries()]
    assert len(found) > 50 and [each for each in found if each[1]] == []


class Misspelt:
    """A loss of no turn that there is."""

    turns = frozenset({"generater"})

    def __call__(self, step: object, turn: str) -> float:
        return 0.0


def test_a_part_that_misspells_a_turn_cannot_be_loaded():
    entry = Entry("loss", "misspelt", f"{__name__}:Misspelt", "a loss", "acme")
    with pytest.raises(
        PluginError, match=r"loss acme/misspelt: .*its turns must be a set of 'generator' or .*generater"
    ):
        entry.load()


LOSS = '''"""A loss that its constructor gives a turn that there is not."""
from gansemble import hookimpl


@hookimpl
def gansemble_register(register):
    register("regulariser", "late", "late_turns:Late", "a regulariser")


class Late:
    """Nothing."""

    def __init__(self) -> None:
        self.turns = frozenset({"generater"})

    def __call__(self, step: object, turn: str) -> float:
        return 0.0
'''


def test_what_a_constructor_declares_is_refused_by_the_check(tmp_path, monkeypatch):
    (tmp_path / "late_turns.py").write_text(LOSS)
    monkeypatch.syspath_prepend(tmp_path)
    registry = loading.registry()
    registry.add(Entry("regulariser", "late", "late_turns:Late", "a regulariser", "late"))
    try:
        with pytest.raises(
            RecipeError, match=r"regularisers\.late\.use: regulariser late/late .*its turns must be"
        ) as caught:
            check.load(MINI, ["regularisers.late={use: late}"], registry)
        assert "'generater'" in str(caught.value)
    finally:
        registry.remove("late")


@pytest.mark.parametrize(
    ("contract", "wrong", "said"),
    [
        (GeneratorContract, {"latent_law": "gaussian"}, "latent_law must be 'uniform' or 'normal', got 'gaussian'"),
        (GeneratorContract, {"precisions": frozenset({"fp8"})}, "precisions must be"),
        (GeneratorContract, {"gives": "features"}, "gives must be"),
        (GeneratorContract, {"reads": frozenset({1})}, "reads must be"),
        (GeneratorContract, {"classes": 0}, "classes must be from 1"),
        (GeneratorContract, {"latent": 1.5}, "latent must be"),
        (GeneratorContract, {"channels": {"f0": 0}}, "channels.f0 must be from 1"),
        (GeneratorContract, {"shape": (1, 0)}, "shape.1 must be from 1"),
        (GeneratorContract, {"pitches": (24, 200)}, "pitches.1 must be from 0 to 127"),
        (GeneratorContract, {"grows_to": float("nan")}, "grows_to must be a finite number"),
        (DiscriminatorContract, {"sample_rates": frozenset({0})}, "sample_rates must be from 1"),
        (DiscriminatorContract, {"receptive_field": -5}, "receptive_field must be from 1"),
        (DiscriminatorContract, {"domain": 3}, "domain must be"),
    ],
)
def test_a_field_of_a_contract_holds_what_contracts_have(contract: Any, wrong: dict[str, Any], said: str) -> None:
    kind = "generator" if contract is GeneratorContract else "discriminator"
    assert of_its_kind(contract(), kind) == contract()
    with pytest.raises(TypeError, match="its contract's ") as caught:
        of_its_kind(contract(**wrong), kind)
    assert said in str(caught.value)


def test_sets_that_may_change_are_taken_for_sets():
    of_its_kind(GeneratorContract(reads={"mel"}), "generator")  # type: ignore[arg-type]
