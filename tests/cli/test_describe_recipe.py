"""``describe RECIPE``: what it costs and who set what, for people and for programs."""

import inspect
import json
from pathlib import Path

import pytest
import torch

from gansemble.cli import describe_kind
from gansemble.parts import build
from gansemble.plugins import loading
from gansemble.plugins.registry import KINDS
from gansemble.recipe import check
from gansemble.testing.conformance import CHECKS
from gansemble.training import profiling


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def recipe(tiny, tmp_path):
    """A recipe two includes away from the tiny one: ``conf/own.yaml``."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "middle.yaml").write_text("include: [../tiny.yaml]\nlosses: {mel: {weight: 30}}\n")
    path = tmp_path / "conf" / "own.yaml"
    path.write_text(
        "include: [middle.yaml]\n# a line\nplan: {steps: 8, save_every: '${plan.steps}'}\ngenerator: {blocks: 2}\n"
    )
    return "conf/own.yaml"


def values(out: str) -> dict[str, tuple[str, str]]:
    """key -> (value, where) of the list at the end."""
    lines = out.partition("\nvalues")[2].splitlines()[1:]
    rows = [line.split(maxsplit=1) for line in lines]
    without_types = [(key, rest.partition("  (")[0].strip()) for key, rest in rows]
    return {key: tuple(part.strip() for part in rest.rsplit(maxsplit=1)) for key, rest in without_types}


def test_beside_a_number_stands_its_range(gansemble, recipe):
    _, out, _ = gansemble("describe", recipe, "--fast", "--defaults")
    told = {
        line.split()[0]: line.partition("  (")[2].rstrip(")") for line in out.partition("\nvalues")[2].splitlines()[1:]
    }
    assert told["generator.blocks"] == "int from 1 to 1000" and told["plan.ema"] == "float above 0 and below 1 or null"
    assert told["optimisers.generator.decay"] == "float from 1e-06 to 1" and told["name"] == ""
    assert told["losses.mel.weight"].startswith("float from 0 to 1000000 or dict[int from 0 to 10^12, ")


def test_every_value_is_shown_with_the_file_and_line_that_set_it(gansemble, recipe):
    status, out, err = gansemble("describe", recipe, "--fast", "--set", "plan.batch_size=4")
    assert (status, err) == (0, "")
    found = values(out)
    assert found["plan.steps"] == ("8", "conf/own.yaml:3")
    assert found["plan.save_every"] == ("8", "conf/own.yaml:3")
    assert found["generator.blocks"] == ("2", "conf/own.yaml:4")
    assert found["losses.mel.weight"] == ("30.0", "conf/middle.yaml:2")
    assert found["generator.use"] == ('"vocos"', "tiny.yaml:4")
    assert found["discriminators.mpd.periods"] == ("[2, 3]", "tiny.yaml:6")
    assert found["audio.fmax"] == ("null", "tiny.yaml:1")
    assert found["plan.batch_size"] == ("4", "--set")
    assert "generator.kernel" not in found and "default" not in {where for _, where in found.values()}


def test_defaults_are_shown_when_asked_for(gansemble, recipe):
    status, out, _ = gansemble("describe", recipe, "--fast", "--defaults")
    found = values(out)
    assert status == 0
    assert found["generator.kernel"] == ("7", "default") and found["plan.ema"] == ("null", "default")
    assert found["generator.blocks"] == ("2", "conf/own.yaml:4")


def test_a_schedule_is_shown_point_by_point(gansemble, recipe):
    out = gansemble("describe", recipe, "--fast", "--set", "losses.mel.weight={0: 45, 100: 5}")[1]
    found = values(out)
    assert (found["losses.mel.weight.0"], found["losses.mel.weight.100"]) == (("45.0", "--set"), ("5.0", "--set"))


def test_parts_are_listed_with_their_plugins(gansemble, recipe):
    out = gansemble("describe", recipe, "--fast")[1]
    lines = [line.split() for line in out.partition("\nparts\n")[2].partition("\n\n")[0].splitlines()]
    assert ["generator", "vocos", "vocos"] in lines and ["discriminators.mpd", "multi_period", "hifigan"] in lines
    assert [line[0] for line in lines[:3]] == ["corpus", "generator", "objective"] and len(lines) == 10


@pytest.mark.slow
def test_costs_are_those_that_are_measured(gansemble, recipe):
    status, out, _ = gansemble("describe", recipe, "--set", "plan.batch_size=4")
    loaded = check.load(Path(recipe), ("plan.batch_size=4",))
    parts = profiling.parts_of(loaded)
    generator, mpd = profiling.networks(loaded, parts)
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.startswith(("generator", "discr"))}
    assert status == 0 and rows["generator"][1] == "(vocos)"
    assert (
        rows["generator"][2] == f"{generator.parameters:,}" and rows["discriminators.mpd"][2] == f"{mpd.parameters:,}"
    )
    frames = generator.sees
    assert out.splitlines()[3].endswith(f"G  ±{frames} frames ({1000 * frames * 64 / 22050:.0f} ms)")
    assert out.splitlines()[4].endswith(f"G  {mpd.sees:,} samples ({1000 * mpd.sees / 22050:.0f} ms)")
    delay = 1000 * profiling.delay(loaded, parts.generator)
    assert f"\ndelay    {delay:.0f} ms of look-ahead (context, and half a window)\n" in out
    memory = profiling.memory(loaded, parts)
    assert f"memory   about {memory.total / 2**20:.2f} MiB for a training step of 4 x 2048 samples" in out
    assert "\nspeed    generates at " in out and "(CPU, 1 threads, one second)" in out
    assert "\n  generator " not in out  # the networks have a table of their own


@pytest.mark.slow
def test_optimisers_are_shown_with_what_they_move(gansemble, recipe):
    """Counted of the networks, without what is frozen."""
    group = "optimisers.generator.groups={slow: {parameters: ['generator.*.bias'], lr: 1e-5}}"
    sets = (group, "optimisers.one={use: sgd, parameters: [discriminators.mpd.discriminators.0]}")
    sets += ("init.freeze=[generator.embed]",)
    status, out, _ = gansemble("describe", recipe, *(word for each in sets for word in ("--set", each)))
    loaded = check.load(Path(recipe))
    parts = build.build(loaded, torch.device("cpu"))
    held = {"generator": [each for name, each in parts.generator.named_parameters() if not name.startswith("embed.")]}
    slow = [each for name, each in parts.generator.named_parameters() if name.endswith(".bias") and "embed" not in name]
    first, *others = parts.discriminators.parts["mpd"].discriminators
    held |= {"one": list(first.parameters()), "discriminators": [p for other in others for p in other.parameters()]}
    uses = {"generator": "adamw", "one": "sgd", "discriminators": "adamw"}
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith("optimisers.")}
    assert status == 0 and out.count("\noptimiser ") == 1
    for name, moved in held.items():
        count, groups = sum(each.numel() for each in moved), ["-"]
        if name == "generator":
            groups = ["slow", f"{sum(each.numel() for each in slow):,}"]
        assert rows[f"optimisers.{name}"] == [f"({uses[name]})", f"{count:,}", str(len(moved)), *groups]


def test_for_programs_it_is_json_of_the_same(gansemble, recipe):
    status, out, _ = gansemble("describe", recipe, "--json", "--set", "plan.batch_size=4")
    facts = json.loads(out)
    loaded = check.load(Path(recipe), ("plan.batch_size=4",))
    parts = profiling.parts_of(loaded)
    assert status == 0 and facts["recipe"] == recipe and facts["name"] == loaded.name
    assert facts["plan"] == {"batch_size": 4, "segment": 2048, "precision": "no"}
    assert facts["audio"] == {"sample_rate": 22050, "hop": 64}
    assert [(row["path"], row["parameters"], row["macs"]) for row in facts["networks"]] == [
        (each.path, each.parameters, each.macs) for each in profiling.networks(loaded, parts)
    ]
    assert facts["memory"]["total"] == sum(facts["memory"][name] for name in facts["memory"] if name != "total")
    assert facts["delay_seconds"] == profiling.delay(loaded, parts.generator) and facts["real_time_factor"] > 0
    assert {"key": "generator.blocks", "value": 2, "where": "conf/own.yaml:4", "takes": "int from 1 to 1000"} in facts[
        "values"
    ]
    assert {"path": "losses.mel", "use": "mel_l1", "plugin": "basics"}.items() <= facts["parts"][4].items()


def test_fast_builds_nothing_and_leaves_out_what_needs_it(gansemble, recipe, monkeypatch):
    def fail(*_):
        raise AssertionError("built")

    monkeypatch.setattr(build, "build", fail)
    monkeypatch.setattr(profiling, "build", fail)
    with pytest.raises(AssertionError, match="built"):
        gansemble("describe", recipe)
    status, out, _ = gansemble("describe", recipe, "--fast")
    assert status == 0 and "memory" not in out and "delay" not in out and "MACs" not in out
    facts = json.loads(gansemble("describe", recipe, "--fast", "--json")[1])
    assert set(facts) == {"name", "recipe", "parts", "audio", "plan", "values"}


def test_advice_is_shown(gansemble, recipe):
    status, out, _ = gansemble("describe", recipe, "--fast", "--set", "discriminators.mpd.periods=[2, 37]")
    assert status == 0
    assert "\nnote: each score of discriminators.mpd (multi_period) sees " in out
    assert "\nnote: " not in gansemble("describe", recipe, "--fast")[1]


def test_a_wrong_recipe_fails_with_its_problems(gansemble, recipe):
    status, out, err = gansemble("describe", recipe, "--set", "plan.setps=3", "--set", "generator.dim=wide")
    assert (status, out) == (1, "")
    assert "--set:1:1: plan.setps: plan takes no such parameter; did you mean 'steps'?" in err
    assert "--set:1:15: generator.dim: expected int, got text 'wide'" in err
    assert err.endswith("2 problems in the recipe; nothing was built or changed.\n")


def test_a_recipe_that_is_absent_is_named(gansemble):
    assert gansemble("describe", "absent.yaml")[::2] == (
        1,
        "error: absent.yaml: no such recipe file\n\n1 problem in the recipe; nothing was built or changed.\n",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_alone_is_described_whole(gansemble, kind):
    """Its Protocol, how it is called, each promise, the file of the smallest example, and the names of its parts."""
    status, out, err = gansemble("describe", kind)
    assert (status, err) == (0, "") and out.startswith(f"{kind}, in a recipe: ")
    found = describe_kind.protocol(kind)
    assert (found is None) == (kind == "optimiser")
    assert found is None or (inspect.getdoc(found) or "?") in out
    for name in (*(promise.__name__.replace("_", " ") for promise in CHECKS[kind]), *describe_kind.contract_keys(kind)):
        assert f"  {name}:" in out
    assert describe_kind.example(kind) in out and all(line in out for line in describe_kind.calls(kind))
    assert all(f"  {entry.name}:" in out for entry in loading.registry().entries(kind))


def test_more_words_than_two_are_a_usage_error(gansemble):
    status, _, err = gansemble("describe", "generator", "vocos", "hifigan")
    assert status == 2 and "expected RECIPE, or KIND NAME, got 3 words" in err


def test_a_generator_without_discriminators_can_be_described(gansemble, recipe):
    changes = ["discriminators=null", "objective=null", "losses.features=null", "optimisers.discriminators=null"]
    status, out, _ = gansemble("describe", recipe, *(word for each in changes for word in ("--set", each)))
    assert status == 0 and "\ngenerator (vocos) " in out and "discriminators" not in out
