"""Parts by kind and name: what is refused at registration, and what is said when one is not there."""

import sys
import types

import pytest
import torch

from gansemble.errors import PluginError
from gansemble.plugins.registry import Broken, Entry, PluginSource, Registry


class Sound:
    """A part that takes one number."""

    def __init__(self, *, size: int = 1) -> None:
        self.size = size

    def __call__(self, step: object, turn: str) -> float:
        return 0.0


class Deaf:
    """A part that does not take what it is called with."""

    def __call__(self, step: object) -> float:
        return 0.0


class Silent:
    """A part that cannot be called."""


class Plain(torch.nn.Module):
    """A network without an __init__ of its own, whose parent's takes anything."""

    def forward(self, condition: object) -> float:
        return 0.0


class Swallowing:
    """A part whose misspelt keys nobody would notice."""

    def __init__(self, **options: int) -> None: ...


class Clashing:
    """A part that calls its own parameter what the recipe calls its weight."""

    def __init__(self, *, weight: float = 1.0) -> None: ...


def entry(kind="loss", name="a", target=f"{__name__}:Sound", plugin="p") -> Entry:
    return Entry(kind, name, target, "", plugin)


def registry(*entries: Entry) -> Registry:
    made = Registry()
    for each in entries:
        made.add(each)
    return made


def said(act, *arguments) -> str:
    with pytest.raises(PluginError) as caught:
        act(*arguments)
    return str(caught.value)


def test_a_part_is_found_by_its_name_and_with_its_plugin():
    made = registry(entry())
    assert made.get("loss", "a") is made.get("loss", "p/a") is made.entries()[0]
    assert made.get("loss", "a").load() is Sound


def test_entries_come_by_kind_name_and_plugin():
    made = registry(entry("metric", "a"), entry("loss", "b"), entry("generator", "z"), entry("loss", "a", plugin="q"))
    assert [(e.kind, e.name) for e in made.entries()] == [
        ("generator", "z"),
        ("metric", "a"),
        ("loss", "a"),
        ("loss", "b"),
    ]
    assert [e.name for e in made.entries("loss")] == ["a", "b"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "los"}, "p: no kind 'los' of part; did you mean 'loss'?; kinds: generator, "),
        ({"name": "a-b"}, "p: a part's name must be a lower_snake identifier, got 'a-b'"),
        ({"name": "a/b"}, "p: a part's name must be a lower_snake identifier, got 'a/b'"),
        ({"name": ""}, "p: a part's name must be a lower_snake identifier, got ''"),
        ({"target": "module.Class"}, "p/a: target must be 'package.module:attribute', got 'module.Class'"),
    ],
)
def test_a_malformed_entry_is_refused(wrong, message):
    assert said(Registry().add, entry(**wrong)).startswith(message)


def test_a_plugin_may_not_register_a_part_twice_but_two_plugins_may():
    made = registry(entry())
    assert said(made.add, entry()) == "p: registers loss 'a' twice"
    made.add(entry(plugin="q"))
    made.add(entry("metric"))


def test_an_ambiguous_short_name_lists_the_ways_to_say_it():
    made = registry(entry(plugin="q"), entry(plugin="p"), entry(name="b"))
    assert said(made.get, "loss", "a") == "loss 'a' is given by several plugins; say 'p/a' or 'q/a'"
    assert made.get("loss", "q/a").plugin == "q"
    assert made.ambiguous() == [("loss", "a", ["p", "q"])]


def test_an_unknown_part_names_a_near_one_or_all():
    made = registry(entry(name="mel_l1"), entry(name="snr"))
    assert said(made.get, "loss", "mel_l2") == "no loss named 'mel_l2'; did you mean 'mel_l1'?"
    assert said(made.get, "loss", "zzz") == "no loss named 'zzz'; known: mel_l1, snr"
    assert said(made.get, "loss", "p/mel_l2") == "no loss named 'p/mel_l2'; did you mean 'mel_l1'?"
    assert said(made.get, "metric", "zzz") == "no metric named 'zzz'; known: none"


def test_a_part_of_another_kind_is_told_as_such():
    made = registry(entry("objective", "lsgan"), entry("generator", "big"))
    assert said(made.get, "generator", "lsgan").endswith("('lsgan' is an objective)")
    assert said(made.get, "loss", "big").endswith("('big' is a generator)")


def test_a_broken_plugin_is_named_with_its_error_when_its_part_is_asked_for():
    made = registry(entry())
    made.broken["bad"] = Broken("bad", ImportError("no module named 'x'"), "Traceback …")
    assert said(made.get, "loss", "bad/a") == (
        "loss bad/a: plugin 'bad' could not be loaded (ImportError: no module named 'x'); see `gansemble plugins doctor`"
    )
    assert said(made.get, "loss", "zzz").endswith(
        "; these plugins could not be loaded: bad (see `gansemble plugins doctor`)"
    )
    assert made.get("loss", "a").name == "a"


def test_a_plugin_that_is_off_is_named_with_the_variable_that_did_it():
    made = registry(entry())
    made.disabled["off"] = "GANSEMBLE_DISABLE"
    assert said(made.get, "loss", "off/a") == "loss off/a: plugin 'off' is switched off by GANSEMBLE_DISABLE"
    assert "off" in said(made.get, "loss", "zzz").partition("known: a")[2]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("no_such_module_here:A", "ModuleNotFoundError: No module named 'no_such_module_here'"),
        (f"{__name__}:Absent", "AttributeError: "),
    ],
)
def test_a_target_that_is_not_there_says_why(target, reason):
    message = said(entry(target=target).load)
    assert message.startswith(f"loss p/a: its target {target} cannot be imported ({reason}")
    assert message.endswith("see `gansemble plugins doctor`")


@pytest.mark.parametrize(
    "text", ["raise RuntimeError('boom')", "def broken(:\n", "undefined_name", "raise SystemExit(3)"]
)
def test_a_target_whose_module_fails_in_any_way_is_a_plugin_error(tmp_path, monkeypatch, text):
    (tmp_path / "failing_part.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "failing_part", raising=False)
    assert said(entry(target="failing_part:A").load).startswith(
        "loss p/a: its target failing_part:A cannot be imported"
    )


def test_a_target_that_cannot_be_called_is_a_plugin_error(monkeypatch):
    module = types.ModuleType("part_of_numbers")
    module.NUMBER = 3
    monkeypatch.setitem(sys.modules, "part_of_numbers", module)
    assert "part_of_numbers:NUMBER" in said(entry(target="part_of_numbers:NUMBER").load)


def test_a_target_that_swallows_keywords_is_refused():
    target = f"{__name__}:Swallowing"
    message = said(entry(target=target).load)
    assert message == f"loss p/a: {target}: takes **options, which hides misspelt keys; name every parameter"


def test_a_target_whose_parameter_means_something_to_the_recipe_is_refused():
    target = f"{__name__}:Clashing"
    message = said(entry(target=target).load)
    assert message == (
        f"loss p/a: {target}: parameter 'weight' is reserved by the recipe, whose key of this name for every loss would never "
        "reach it; rename it, such as own_weight"
    )


def test_a_target_without_a_signature_is_a_plugin_error():
    assert said(entry(target="builtins:dict").load) == (
        "loss p/a: builtins:dict: its parameters cannot be read; give a Python class or function"
    )


@pytest.mark.parametrize(
    ("kind", "part", "message"),
    [
        (
            "loss",
            "Deaf",
            "its __call__ takes (step), but a loss's is called with (step, turn); see gansemble.interfaces.Term",
        ),
        ("regulariser", "Silent", "cannot be called; a regulariser is called with (step, turn)"),
        ("generator", "Deaf2", "its forward takes (x, mel, speaker), but a generator's is called with (condition)"),
        (
            "discriminator",
            "Plain",
            "its forward takes (condition), but a discriminator's is called with (x, condition)",
        ),
        ("objective", "Silent", "has no method discriminator(real_score, fake_score)"),
        ("metric", "Sound", "has no method score(estimate, reference, sample_rate)"),
        ("representation", "Sound", "has no method encode(audio)"),
        ("corpus", "Sound", "has no method fetch(folder)"),
    ],
)
def test_a_part_that_cannot_be_called_as_its_kind_is_refused(kind, part, message):
    assert message in said(entry(kind, target=f"{__name__}:{part}").load)


def test_a_network_without_an_init_takes_no_parameters_and_is_sound():
    assert entry("generator", target=f"{__name__}:Plain").load() is Plain


class Unbound:
    """A metric whose method needs no instance."""

    definition, better = "none", "lower"

    @staticmethod
    def score(estimate: object, reference: object, sample_rate: int) -> dict[str, object]:
        return {}


class UnboundDeaf(Unbound):
    """One that does not take what it is called with."""

    @staticmethod
    def score(estimate: object, reference: object) -> dict[str, object]:
        return {}


def test_a_method_may_be_static():
    assert entry("metric", target=f"{__name__}:Unbound").load() is Unbound
    wanted = (
        "its score takes (estimate, reference), but a metric's score is called with (estimate, reference, sample_rate)"
    )
    assert wanted in said(entry("metric", target=f"{__name__}:UnboundDeaf").load)


@pytest.mark.parametrize(
    ("source", "requirement"),
    [
        (PluginSource("d", "1.2"), "d>=1.2"),
        (PluginSource("d"), "d"),
        (PluginSource(file="/a/b.py"), "--plugin /a/b.py"),
        (PluginSource("gansemble", "1.0"), None),
        (PluginSource(), None),
    ],
)
def test_how_a_plugin_is_got_again(source, requirement):
    """Nothing is asked for that is nowhere to be had."""
    assert source.requirement() == requirement


class Deaf2(torch.nn.Module):
    """A generator that wants more than a condition."""

    def forward(self, x: object, mel: object, speaker: object) -> object:
        return x
