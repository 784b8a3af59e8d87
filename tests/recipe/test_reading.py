"""How a composed document becomes a recipe: sections, parts, what plugins say of it, how it is written out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gansemble.plugins import loading
from gansemble.plugins.loading import Plugins
from gansemble.plugins.registry import Entry, PluginSource
from gansemble.recipe import check, construct, contract, fill, required
from gansemble.recipe.compose import compose
from gansemble.recipe.document import Problem, RecipeError
from gansemble.recipe.rules import examine, optimisers, ranges
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import LearningRate
from gansemble.recipe.weights import Schedule


def problems(path: Path, *sets: str, registry: Any = None) -> list[Problem]:
    with pytest.raises(RecipeError) as caught:
        check.load(path, sets, registry)
    return caught.value.problems


def said(path: Path, *sets: str, registry: Any = None) -> list[tuple[tuple[str | int, ...], str]]:
    return [(each.path, each.message) for each in problems(path, *sets, registry=registry)]


# loading ----------------------------------------------------------------


def test_a_sound_recipe_has_no_notes_and_its_parts_are_in_its_sections(base):
    recipe = check.load(base)
    assert recipe.notes == [] and recipe.path == base
    assert list(recipe.single) == ["corpus", "generator", "objective"]
    assert {name: list(parts) for name, parts in recipe.many.items() if parts} == {
        "discriminators": ["mpd"],
        "losses": ["mel"],
        "metrics": ["mel_distance"],
        "optimisers": ["generator", "discriminators"],
    }
    assert [".".join(map(str, part.path)) for part in recipe.parts()] == [
        "corpus",
        "generator",
        "objective",
        "discriminators.mpd",
        "losses.mel",
        "metrics.mel_distance",
        "optimisers.generator",
        "optimisers.discriminators",
    ]


def test_a_mend_is_looked_for_only_where_all_could_be_read(base):
    """Of a recipe that cannot be read as it is, no change could be tried."""
    (alone,) = problems(base, "validation.best=x")
    assert alone.fix == "--set validation.best=mel_distance"
    found = problems(base, "validation.best=x", "name=[1]")
    assert sorted((each.path, each.fix) for each in found) == [(("name",), ""), (("validation", "best"), "")]


def test_a_change_that_cannot_be_read_is_no_mend(base):
    """A hop of 2048 would be longer than the window, so another generator is proposed; it mends."""
    sets = ["generator.upsample_rates=[8, 8, 8, 4]", "generator.upsample_kernels=[16, 16, 16, 8]"]
    (found,) = problems(base, *sets)
    assert "2048" in found.message and found.fix.startswith("--set generator.use=")
    check.load(base, [*sets, found.fix.removeprefix("--set ")])


def test_advice_is_no_fault_and_does_not_stand_in_the_way_of_a_mend(base):
    sets = ["discriminators.mrd={use: multi_resolution}"]
    (note,) = check.load(base, sets).notes
    assert note.path == ("plan", "segment") and note.other
    (found,) = problems(base, *sets, "validation.best=x")
    assert found.fix == "--set validation.best=mel_distance"


def test_an_inspected_recipe_comes_with_its_problems_but_no_mends(base):
    recipe, found = check.inspect(compose(base), base)
    assert isinstance(recipe, Recipe) and found == [] and recipe.path == base
    recipe, found = check.inspect(
        compose(base, ["validation.best=x", "discriminators.mrd={use: multi_resolution}"]), base
    )
    assert isinstance(recipe, Recipe) and [(each.path, each.fix) for each in found] == [(("validation", "best"), "")]
    recipe, found = check.inspect(compose(base, ["generator.use=nope"]), base)
    assert recipe is None and [each.path for each in found] == [("generator", "use")]


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("mymethod/conf/small.yaml", "mymethod small"),
        ("mymethod/conf/deep/small.yaml", "mymethod small"),
        ("mymethod/small.yaml", "small"),
        ("conf.yaml", "conf"),
    ],
)
def test_the_name_of_a_recipe_that_gives_none(tmp_path, place, name):
    assert check.default_name(tmp_path / place) == name


def test_a_name_that_is_given_counts_and_else_that_of_the_file(base):
    assert check.load(base, ["name=mine"]).name == "mine"
    assert check.load(base).name == check.load(base, ["name=null"]).name == "base"


# what plugins say -------------------------------------------------------


@pytest.fixture
def asked(monkeypatch) -> Callable[..., None]:
    """``asked(plugin, function, names)`` lets a plugin's hook check recipes."""
    found = loading.load()

    def ask(plugin: str, function: Callable[..., Any], *names: str) -> None:
        hook = SimpleNamespace(plugin_name=plugin, function=function, argnames=names)
        caller = SimpleNamespace(get_hookimpls=lambda: [hook])
        manager = SimpleNamespace(hook=SimpleNamespace(gansemble_check_recipe=caller))
        monkeypatch.setattr(loading, "load", lambda: SimpleNamespace(manager=manager, registry=found.registry))

    return ask


def test_what_a_plugin_finds_stands_at_the_key_that_it_names(base, asked):
    seen = []

    def judge(recipe: Recipe) -> list[tuple[str, str]]:
        seen.append(recipe.name)
        return [("discriminators.mpd.periods[1]", "too long"), ("plan.steps", "too few")]

    asked("mine", judge, "recipe")
    sets = ["discriminators.mpd.periods=[2, 3]"]
    found = problems(base, *sets)
    assert {(each.path, each.message) for each in found} == {
        (("discriminators", "mpd", "periods", 1), "too long"),
        (("plan", "steps"), "too few"),
    }
    assert {each.mark.column for each in found} == {15, 28}
    recipe, listed = check.inspect(compose(base, sets), base)
    assert recipe is not None and len(listed) == 2 and seen == ["base", "base"]


def test_a_plugin_is_not_asked_about_parts_of_another_registry(base, asked):
    asked("mine", lambda recipe: [("plan", "no")], "recipe")
    registry = loading.registry()
    check.load(base, (), registry)
    assert check.inspect(compose(base), base, registry)[1] == []


def test_a_plugin_that_finds_nothing_or_takes_nothing_is_content(base, asked):
    asked("mine", lambda: None)
    assert check.load(base).notes == []


def fails(recipe: Recipe) -> None:
    raise KeyError("x")


@pytest.mark.parametrize(("plugin", "sets"), [("hifigan", ()), ("mine", ("plugins={mine: mine}",))])
def test_a_hook_that_fails_is_a_problem_of_recipes_that_use_its_plugin(base, asked, plugin, sets):
    asked(plugin, fails, "recipe")
    found = [each for each in problems(base, *sets) if each.path == ()]
    assert len(found) == 1 and plugin in found[0].message and "KeyError" in found[0].message
    assert found[0].mark.line == 1


def test_a_hook_that_fails_is_a_warning_elsewhere(base, asked, caplog):
    asked("mine", fails, "recipe")
    with caplog.at_level(logging.WARNING):
        check.load(base)
    assert "mine" in caplog.text and "KeyError" in caplog.text


# sections ---------------------------------------------------------------


def test_a_section_that_there_is_not_is_marked_at_its_key(base):
    (near,) = problems(base, "plam={steps: 1}")
    assert near.path == ("plam",) and "'plan'" in near.message and near.note == "" and near.mark.width == 4
    (far,) = problems(base, "zzzz=1")
    assert "did you mean" not in far.message
    assert far.note.startswith("sections: name, plugins, audio, plan, ") and "observers" in far.note


@pytest.mark.parametrize(
    ("sets", "metrics", "best"),
    [
        ((), ("mel_distance",), "mel_distance"),
        (("metrics.snr={use: snr}",), ("mel_distance",), "mel_distance"),
        (("metrics.snr={use: snr}", "validation.metrics=[snr, mel_distance]"), ("snr", "mel_distance"), "snr"),
        (
            ("metrics.snr={use: snr}", "validation.metrics=[snr, mel_distance]", "validation.best=mel_distance"),
            ("snr", "mel_distance"),
            "mel_distance",
        ),
        (("validation.every=7",), ("mel_distance",), "mel_distance"),
        (("validation.metrics=[]",), (), ""),
        (("metrics=null",), (), ""),
    ],
)
def test_what_validation_measures_where_it_does_not_say(base, sets, metrics, best):
    found = check.load(base, sets).validation
    assert (found.metrics, found.best) == (metrics, best)
    assert found.every == (7 if "validation.every=7" in sets else 5000)


def test_sections_that_are_empty_have_their_defaults(base, write):
    recipe = check.load(write(base=base.read_text() + "validation:\ndata:\ninit:\nfeatures:\nmonitors: {}\n"))
    assert recipe.data.normalise == 0.95 and recipe.many["features"] == recipe.many["monitors"] == {}
    assert check.load(base, ["audio=null"]).audio.sample_rate == 22050


def test_all_that_is_wrong_with_the_audio_specification_is_told(base):
    assert [path for path, _ in said(base, "audio.fmin=9000", "audio.window=2048")] == [
        ("audio", "fmin"),
        ("audio", "window"),
    ]
    assert said(base, "audio=3") == [(("audio",), "expected a mapping, got 3")]
    assert [path for path, _ in said(base, "audio.hop=x", "audio.window=2048")] == [("audio", "hop")]


def test_all_problems_of_parts_are_told_and_nothing_is_made_of_a_broken_recipe(base):
    found = said(base, "losses.mel.use=nope", "discriminators.mpd.use=nope", "plan.steps=x", "corpus=null")
    assert {path for path, _ in found} == {
        ("losses", "mel", "use"),
        ("discriminators", "mpd", "use"),
        ("plan", "steps"),
        ("corpus",),
    }
    assert check.inspect(compose(base, ["losses.mel.use=nope"]), base)[0] is None
    assert check.inspect(compose(base, ["plan.steps=x"]), base)[0] is None
    assert check.inspect(compose(base, ["audio.hop=x"]), base)[0] is None
    assert check.inspect(compose(base, ["generator=null"]), base)[0] is None


def test_a_section_that_is_needed_is_asked_for_where_the_recipe_begins(base):
    (found,) = problems(base, "generator=null")
    assert found.path == ("generator",) and (found.mark.line, found.mark.column) == (1, 1)


# parts ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sets", "path", "shown"),
    [
        (("generator=5",), ("generator",), ", got 5"),
        (("losses.mel=[1]",), ("losses", "mel"), ", got [1]"),
        (("losses.mle={weight: 3}",), ("losses", "mle"), "; did you mean 'mel'?"),
        (("losses.mel={use: 3}",), ("losses", "mel"), "; did you mean 'mel'?"),
        (("losses.other={weight: 3}",), ("losses", "other"), ""),
        (("losses.mle={weight: 3}", "losses.mlee={weight: 3}", "losses.mel=null"), ("losses", "mle"), ""),
    ],
)
def test_a_part_is_a_mapping_with_the_name_of_what_it_uses(base, sets, path, shown):
    found = dict(said(base, *sets))
    assert found[path].partition("}")[2] == shown and found[path].startswith("expected {use: NAME, …}")


def test_a_section_of_parts_is_a_mapping_of_them(base):
    assert said(base, "losses=[1]") == [
        (("losses",), "expected parts by name, such as losses: {my_name: {use: …}}, got list")
    ]


def test_a_part_of_null_is_left_out(base, write):
    recipe = check.load(write(base=base.read_text() + "features: {f0: }\nmonitors:\n  m: null\n"))
    assert recipe.many["features"] == recipe.many["monitors"] == {}


def test_only_weighted_parts_have_a_weight_and_only_optimisers_rates(base):
    sets = ["metrics.mel_distance.weight=3", "losses.mel.decay=0.5", "optimisers.generator.weight=2"]
    assert {path for path, _ in said(base, *sets)} == {
        ("metrics", "mel_distance", "weight"),
        ("losses", "mel", "decay"),
        ("optimisers", "generator", "weight"),
    }
    recipe = check.load(base, ["objective.weight=3", "discriminators.mpd.weight=2", "optimisers.generator.decay=0.5"])
    assert recipe.single["objective"].weight == Schedule.of(3)
    assert recipe.many["discriminators"]["mpd"].weight == Schedule.of(2)
    assert recipe.many["optimisers"]["generator"].learning_rate == LearningRate(decay=0.5)
    assert recipe.many["optimisers"]["discriminators"].learning_rate == LearningRate()
    assert recipe.single["generator"].weight == Schedule.of(1.0)
    assert "decay" not in recipe.many["optimisers"]["generator"].arguments


def test_every_problem_of_a_part_is_told(base):
    sets = ["losses.mel.weight=x", "losses.mel.zzz=1", "optimisers.generator.warmup=x", "optimisers.generator.lr=y"]
    assert {path[-1] for path, _ in said(base, *sets)} == {"weight", "zzz", "warmup", "lr"}


def test_what_may_come_with_a_missing_plugin_is_told(base):
    """The part that is not found is told where its name stands."""
    found = dict(said(base, "generator.use=acme", "plugins={acme: acme}"))
    assert "pip install acme" in found["generator", "use"] and "pip install acme" in found["plugins", "acme"]


# needed plugins ---------------------------------------------------------


@pytest.mark.parametrize(
    ("requirement", "way"),
    [
        ("acme", "pip install acme"),
        ("acme>=0.2", "pip install 'acme>=0.2'"),
        ("acme @ https://a/b.zip", "pip install 'acme @ https://a/b.zip'"),
        ("ask your neighbour", "ask your neighbour"),
        ("--plugin a.py", "--plugin a.py"),
    ],
)
def test_how_to_get_a_plugin(requirement, way):
    assert required.way(requirement) == way


@pytest.mark.parametrize(
    ("requirement", "version", "wrong"),
    [
        ("acme>=0.2", "0.2.0", False),
        ("acme>=0.2", "0.1", True),
        ("acme>=0.2", "0.3.dev1", False),
        ("acme>=0.2", None, False),
        ("ask a neighbour", "0.1", False),
        ("acme", "0.0.1", False),
    ],
)
def test_an_installed_version_is_compared_with_what_is_needed(base, requirement, version, wrong):
    registry = Plugins().registry
    registry.add(Entry("objective", "acme", "gansemble_plugins.basics.objectives:Hinge", "", "acme"))
    if version is not None:
        registry.sources["acme"] = PluginSource("acme", version)
    document = compose(base, [f"plugins={{acme: '{requirement}'}}"])
    found = required.Required(document, registry)
    assert [each.path for each in found.problems] == [("plugins", "acme")] * wrong
    assert found.missing == {} and found.hint() == "" and found.given == {"acme": requirement}
    assert all(each.mark.line == 1 and "0.1" in each.message for each in found.problems)


def test_several_missing_plugins_may_all_provide_a_part(base):
    found = required.Required(compose(base, ["plugins={a: a>=1, b: see b}"]), Plugins().registry)
    assert found.missing == {"a": "pip install 'a>=1'", "b": "see b"}
    assert found.hint().endswith("'a' (pip install 'a>=1') or 'b' (see b)")


def test_a_section_of_plugins_that_cannot_be_read_needs_none(base):
    found = required.Required(compose(base, ["plugins={a: 1, b: b}"]), Plugins().registry)
    assert found.given == found.missing == {} and len(found.problems) == 1


# writing out ------------------------------------------------------------


def test_a_filled_recipe_has_every_section_in_a_fixed_order(base):
    filled = fill.fill(check.load(base))
    assert list(filled) == [
        *("name", "audio", "corpus", "representation", "generator", "objective", "noise_injector", "degradation"),
        *("discriminators", "losses", "regularisers", "metrics", "optimisers", "test_degradations", "augmentations"),
        *("perturbations", "baselines", "monitors", "features", "observers", "schedules"),
        *("plan", "init", "teacher", "healing", "validation", "data", "synthesis", "evaluation"),
    ]
    assert filled["representation"] is None and filled["regularisers"] == {}
    assert filled["validation"]["metrics"] == ["mel_distance"] and filled["plan"]["phases"] == []
    assert filled["losses"]["mel"] == {"use": "mel_l1", "weight": 45.0, "full_band": True}
    assert filled["metrics"] == {"mel_distance": {"use": "mel_distance", "full_band": True}}


def test_a_filled_part_has_its_defaults_but_not_what_the_toolkit_supplies(base):
    recipe = check.load(base, ["discriminators.mpd.weight={0: 1, 9: 2}", "optimisers.generator.betas=[0, 0.5]"])
    mpd = fill.part(recipe.many["discriminators"]["mpd"])
    assert (
        list(mpd)[:2] == ["use", "weight"] and mpd["weight"] == {0: 1.0, 9: 2.0} and mpd["periods"] == [2, 3, 5, 7, 11]
    )
    assert "audio" not in fill.part(recipe.single["generator"]) and "weight" not in fill.part(
        recipe.single["generator"]
    )
    optimiser = fill.part(recipe.many["optimisers"]["generator"])
    assert optimiser["betas"] == [0.0, 0.5] and "parameters" not in optimiser
    assert [optimiser[key] for key in ("decay", "decay_every", "warmup", "cosine")] == [1.0, None, 0, False]


def test_a_part_that_is_named_with_its_plugin_stays_so(base):
    recipe = check.load(base, ["objective.use=basics/lsgan"])
    assert fill.part(recipe.single["objective"])["use"] == "basics/lsgan"


def test_a_plugin_of_the_recipes_own_words_is_not_asked_for_again(base):
    registry = Plugins().registry
    registry.add(Entry("objective", "acme", "gansemble_plugins.basics.objectives:Hinge", "", "acme"))
    registry.sources["acme"] = PluginSource("gansemble-acme", "0.2.0")
    recipe = check.load(base, ["objective.use=acme", "plugins={acme: my own}"], registry)
    assert fill.needed_plugins(recipe) == {"acme": "my own"}
    recipe = check.load(base, ["objective.use=acme"], registry)
    assert fill.needed_plugins(recipe) == {"acme": "gansemble-acme>=0.2.0"}
    recipe.registry = None
    assert fill.needed_plugins(recipe) == {}


def test_dumped_text_is_read_by_people():
    text = fill.dump({"b": {"x": [1, 2], "y": "é"}, "a": {"p": {"q": 1}}, "long": ["word" * 5] * 6})
    assert text.splitlines()[:4] == ["b:", "  x: [1, 2]", "  y: é", "a:"]
    same = [1, 2]
    assert "&" not in fill.dump({"a": same, "b": same})


@pytest.mark.parametrize(
    ("value", "leaves"),
    [
        ({"a": {"b": 1, "c": {"d": [1, {"x": 2}]}}, "e": {}}, {"a.b": 1, "a.c.d": [1, {"x": 2}], "e": {}}),
        ({0: {1: 2}}, {"0.1": 2}),
        ({}, {"": {}}),
    ],
)
def test_a_mapping_as_leaves(value, leaves):
    assert fill.flatten(value) == leaves


def test_a_section_that_an_older_recipe_lacks_is_an_empty_one():
    assert fill.differences({"a": 1}, {"a": 1, "monitors": {}}) == []
    assert fill.differences({"a": 1, "monitors": {}}, {"a": 1}) == []
    assert fill.differences({"a": 1}, {"a": {}}) == [("a", 1, {})]
    assert fill.differences({"a": {}}, {"a": {"b": 1}}) == [("a.b", "(absent)", 1)]
    assert fill.differences({"a": {}}, {"a": 0}) == [("a", {}, 0)]


def test_plain_values_are_lists_and_mappings_at_any_depth():
    assert fill.plain((LearningRate(0.5), {"a": (1, [2])})) == [
        {"decay": 0.5, "decay_every": None, "warmup": 0, "cosine": False},
        {"a": [1, [2]]},
    ]
    assert fill.plain(LearningRate) is LearningRate and fill.plain("ab") == "ab"


# building ---------------------------------------------------------------


class Asks:
    """Takes two of what the toolkit supplies, and refuses steep slopes."""

    def __init__(self, *, seed: int, segment: int = 3, slope: float = 1.0, more: int = 0) -> None:
        if slope > 5:
            raise ValueError("slope must be at most 5")
        self.made = (seed, segment, slope, more)


@pytest.fixture
def asks(base) -> Recipe:
    registry = Plugins().registry
    recipe = check.load(base, ["plan.seed=7"], registry)
    recipe.single["generator"].target = Asks
    recipe.single["generator"].arguments = {"slope": 2.0}
    return recipe


def test_a_part_is_built_of_its_arguments_and_of_what_is_supplied(asks):
    part = asks.single["generator"]
    assert construct.construct(part, asks).made == (7, 8192, 2.0, 0)
    assert construct.construct(part, asks, more=5, unasked=1, seed=8).made == (8, 8192, 2.0, 5)
    part.arguments = {"seed": 9, "segment": 4}
    assert construct.construct(part, asks).made == (9, 4, 1.0, 0)


def test_a_part_that_refuses_its_arguments_is_marked(asks):
    asks.single["generator"].arguments = {"slope": 6.0}
    with pytest.raises(RecipeError) as caught:
        construct.construct(asks.single["generator"], asks)
    (problem,) = caught.value.problems
    assert problem.path == ("generator",) and problem.mark.line == 3 and problem.message == "slope must be at most 5"


def test_the_arguments_of_a_part_are_its_own_or_supplied_or_by_default(asks):
    part = asks.single["generator"]
    assert contract.filled(part, {"seed": 1, "other": 2}) == {"seed": 1, "segment": 3, "slope": 2.0, "more": 0}
    assert contract.filled(part, {"slope": 1, "segment": 5}) == {"segment": 5, "slope": 2.0, "more": 0}


def test_what_a_recipe_supplies(asks):
    assert asks.supplied() == {"audio": asks.audio, "batch_size": 16, "seed": 7, "segment": 8192}


# what is examined -------------------------------------------------------


class Demanding:
    """A corpus whose contract and constructor may fail."""

    def __init__(self, *, rate: int = 1, depth: int = 1) -> None:
        if depth > 1:
            raise ValueError("depth must be 1")


@pytest.mark.parametrize(
    ("fails", "arguments", "path", "message"),
    [
        (ValueError("rate must be even"), {}, ("corpus", "rate"), "rate must be even"),
        (ValueError("nothing fits"), {}, ("corpus",), "nothing fits"),
        (TypeError("rate is no number"), {}, ("corpus", "rate"), "rate is no number"),
        (ZeroDivisionError("division by zero"), {}, ("corpus",), "division by zero"),
        (KeyError("width"), {}, ("corpus",), "its contract needs the parameter 'width'"),
        (None, {"depth": 2}, ("corpus", "depth"), "depth must be 1"),
    ],
)
def test_a_part_that_cannot_be_judged_is_told_at_the_parameter_at_fault(base, fails, arguments, path, message):
    """Rules between parts then are not asked, and of the sections' limits advice is left out."""

    def declare(parameters: dict[str, Any]) -> contract.Contract:
        if fails is not None:
            raise fails
        return contract.OF_KIND["corpus"]()

    recipe, _ = check.inspect(compose(base), base)
    recipe.single["corpus"].target = type("Made", (Demanding,), {"contract": staticmethod(declare)})
    recipe.single["corpus"].arguments = arguments
    assert [(found.path, found.message) for found in examine.examine(recipe)] == [(path, message)]


def test_limits_of_sections_are_told_beside_a_part_that_cannot_be_judged(base):
    recipe, _ = check.inspect(compose(base), base)
    recipe.single["corpus"].target = Demanding
    recipe.single["corpus"].arguments = {"depth": 3}
    object.__setattr__(recipe.plan, "accumulate", 3)
    object.__setattr__(recipe.plan, "segment", 8000)
    assert [found.path for found in examine.examine(recipe)] == [("plan", "accumulate"), ("corpus", "depth")]


def test_a_generator_of_an_unknown_task_is_told_at_its_use(base):
    recipe, _ = check.inspect(compose(base), base)
    recipe.single["generator"].target = Asks
    recipe.__dict__.pop("generator_contract", None)
    (found,) = examine.examine(recipe)
    assert found.path == ("generator", "use") and "generator (hifigan)" in found.message


# limits -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("sets", "path", "changes"),
    [
        (("objective=null",), ("discriminators",), (("objective={use: hinge}",),)),
        (("discriminators=null", "losses=null", "optimisers.discriminators=null"), ("generator",), ()),
        (("optimisers.generator=null",), ("optimisers",), (("optimisers.generator={use: adam, lr: 2e-4}",),)),
        (("optimisers.discriminators=null",), ("optimisers",), (("optimisers.discriminators={use: adam, lr: 2e-4}",),)),
        (("optimisers.critic={use: adam}",), ("optimisers", "critic"), (("optimisers.critic=null",),)),
    ],
)
def test_every_side_has_something_to_learn_from_and_with(base, sets, path, changes):
    recipe, _ = check.inspect(compose(base, sets), base)
    (found,) = (*ranges.learning(recipe), *optimisers.optimisers(recipe))
    assert (found.path, found.changes, found.advice) == (path, changes, False)


@pytest.mark.parametrize(
    "gone",
    [("losses",), ("discriminators", "objective", "optimisers.discriminators"), ("discriminators", "objective")],
)
def test_losses_or_discriminators_are_enough(base, gone):
    recipe, _ = check.inspect(compose(base, [f"{name}=null" for name in gone]), base)
    assert [*ranges.learning(recipe), *optimisers.optimisers(recipe)] == []


@pytest.mark.parametrize(
    ("sets", "found"),
    [
        ((), []),
        (("validation.metrics=[]", "validation.best=x"), []),
        (("validation.metrics=[mel_distance]", "validation.best=''"), [(("validation", "best"), 1)]),
        (
            ("validation.metrics=[x, mel_distance, y]",),
            [(("validation", "metrics", 0), 0), (("validation", "metrics", 2), 0)],
        ),
        (
            ("metrics.snr={use: snr}", "validation.metrics=[snr]", "validation.best=mel_distance"),
            [(("validation", "best"), 1)],
        ),
    ],
)
def test_validation_measures_what_there_is_and_ranks_by_what_it_measures(base, sets, found):
    recipe, _ = check.inspect(compose(base, sets), base)
    assert [(each.path, len(each.changes)) for each in ranges.validation(recipe)] == found


@pytest.mark.parametrize(
    ("sets", "found"),
    [
        (("plan.batch_size=6", "plan.accumulate=4"), [("plan", "accumulate")]),
        (("plan.batch_size=8", "plan.accumulate=4"), []),
        (("plan.phases=[{steps: 4, batch_size: 6}, {steps: 6}]", "plan.accumulate=4"), [("plan", "accumulate")]),
        (("plan.phases=[{steps: 4}, {steps: 7}]",), [("plan", "phases")]),
        (("plan.phases=[{steps: 4}, {steps: 6}]",), []),
    ],
)
def test_micro_batches_and_phases_add_up(base, sets, found):
    recipe, _ = check.inspect(compose(base, sets), base)
    assert [each.path for each in ranges.windows(recipe)] == found


def test_the_mend_of_phases_is_their_sum_and_of_micro_batches_the_nearest_divisor(base):
    recipe, _ = check.inspect(compose(base, ["plan.phases=[{steps: 4}, {steps: 7}]"]), base)
    (found,) = ranges.windows(recipe)
    assert found.changes == (("plan.steps=11",),) and found.against == ("plan", "steps")
    assert "11" in found.message and "10" in found.stands
    recipe, _ = check.inspect(compose(base, ["plan.batch_size=6", "plan.accumulate=9"]), base)
    (found,) = ranges.windows(recipe)
    assert found.changes == (("plan.accumulate=6",),) and found.against == ("plan", "batch_size")
