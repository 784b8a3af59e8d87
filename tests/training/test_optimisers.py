"""Several optimisers on one side, groups of parameters, and schedules of learning rates, in training."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

from gansemble.errors import CheckpointError, TrainingError
from gansemble.parts.build import build
from gansemble.parts.optimisers import named, optimisers, shares
from gansemble.recipe.document import RecipeError
from gansemble.training.checkpoint import Store
from gansemble.training.initialisation import freeze
from gansemble.training.network_optimiser import NetworkOptimiser
from gansemble.training.state import read_optimisers

#: A second discriminator, an optimiser of its own for the first, matrices and vectors apart, groups, and schedules.
SEVERAL = (
    "discriminators.shuffled={use: wavegan, dim: 2, kernel: 9, strides: [4, 4, 8], shuffle: 2}",
    "optimisers.mpd={use: adamw, lr: 5e-4, parameters: [discriminators.mpd], warmup: 3}",
    "optimisers.generator={use: muon, lr: 1e-3, adamw: [generator.embed], groups: "
    "{slow: {parameters: ['generator.*.bias'], lr: 1e-4}}}",
    "schedules.generator={use: one_cycle}",
    "schedules.mpd={use: exponential, decay: 0.5}",
)
QUICK = ("plan.steps=3", "plan.log_every=1", "plan.accumulate=1", "validation.every=1000", "noise_injector=null")
CPU = torch.device("cpu")


def rows(exp):
    return [json.loads(line) for line in (exp / "logs" / "train.jsonl").read_text().splitlines()]


def weights(trainer):
    parts = trainer.components.parts
    return {name: each.detach().clone() for known in named(parts).values() for name, each in known.items()}


@pytest.mark.slow
def test_stopped_and_resumed_equals_straight_with_several_optimisers_and_schedules(workshop, tools, tmp_path):
    """Weights, the states of every optimiser, counters: bit for bit, wherever it stopped."""
    straight = workshop.train(tmp_path / "straight", *SEVERAL).components.store.folders()[-1]
    for count in (1, 4, 3):
        workshop.train(tmp_path / "parted", *SEVERAL, stop_after=count)
    parted = workshop.train(tmp_path / "parted", *SEVERAL).components.store.folders()[-1]
    leaves = tools.contents(straight)
    assert tools.differences(tools.contents(parted), leaves) == []
    names = {name.split("/")[2] for name in leaves if name.startswith("optimiser-discriminators/optimisers/")}
    assert names == {"mpd", "discriminators"}
    assert any(name.startswith("optimiser-generator/optimisers/generator/state/") for name in leaves)
    assert rows(tmp_path / "parted") != [] and {row["rate/mpd"] for row in rows(tmp_path / "parted")} == {
        row["rate/mpd"] for row in rows(tmp_path / "straight")
    }


@pytest.mark.processes
def test_two_processes_equal_one_with_several_optimisers(workshop, tools, tmp_path):
    """Weights within 1e-5; the two processes hold equal weights bit for bit."""
    from safetensors.torch import load_file

    sets = (*SEVERAL[1:], "optimisers.discriminators=null", "plan.batch_size=16", "plan.steps=4", "plan.save_every=4")
    out = tmp_path / "ranks"
    out.mkdir()
    workshop.finish(tmp_path / "two", *sets, processes=2, driver=out)
    first, second = (load_file(out / f"rank-{rank}.safetensors") for rank in (0, 1))
    assert tools.differences(first, second) == []
    one = workshop.train(tmp_path / "one", *sets).components.store.newest()
    two = Store(tmp_path / "two" / "checkpoints").newest()
    for name in ("generator", "discriminators", "ema"):
        assert tools.distance(two.network(name), one.network(name)) < 1e-5, name
    ours, theirs = (each.state("optimiser-discriminators") for each in (one, two))
    assert ours["parameters"] == theirs["parameters"] and list(ours["optimisers"]) == ["mpd"]


@pytest.mark.parametrize("clip", ["null", "0.01"])
def test_one_side_shared_out_among_equal_optimisers_is_as_with_one(workshop, tmp_path, clip):
    """Bit for bit: the gradient is clipped by the norm of the whole side, whoever moves what."""
    alike = "use: sgd, lr: 1e-2, momentum: 0.9"
    one = ("discriminators.two={use: multi_period, periods: [5], channels: [3, 4]}", f"plan.clip={clip}")
    one += tuple(f"optimisers.{side}={{{alike}}}" for side in ("generator", "discriminators"))
    several = (
        *one,
        f"optimisers.mpd={{{alike}, parameters: [discriminators.mpd]}}",
        f"optimisers.biases={{{alike}, parameters: ['generator.*.bias']}}",
    )
    ours, theirs = (workshop.train(tmp_path / str(len(sets)), *QUICK, *sets) for sets in (several, one))
    assert [len(each.optimisers) for each in ours.components.networks.values()] == [2, 2]
    assert all(torch.equal(value, weights(theirs)[name]) for name, value in weights(ours).items())
    norms = [[row["gradient_norm/discriminators"] for row in rows(tmp_path / str(len(s)))] for s in (several, one)]
    assert norms[0] == norms[1]


def test_each_optimiser_moves_its_own_parameters_at_its_own_rate(workshop, tmp_path):
    """At a rate of zero those of one stay, and those of the others do not."""
    sets = (
        "discriminators.two={use: multi_period, periods: [5], channels: [3, 4]}",
        "optimisers.mpd={use: sgd, lr: 0.0, parameters: [discriminators.mpd]}",
        "optimisers.generator.groups={still: {parameters: [generator.embed], lr: 0, weight_decay: 0}}",
    )
    run = workshop.trainer(tmp_path, *QUICK, *sets)
    before = weights(run)
    run.run()
    still = {name for name, value in weights(run).items() if torch.equal(value, before[name])}
    assert still == {name for name in before if name.startswith(("discriminators.mpd.", "generator.embed."))}


def test_every_optimiser_has_a_curve_of_its_rate(workshop, tmp_path):
    """The base rate times the keys beside the optimiser times its schedule."""
    sets = (
        "discriminators.two={use: multi_period, periods: [5], channels: [3, 4]}",
        "optimisers.mpd={use: sgd, lr: 1e-2, parameters: [discriminators.mpd], warmup: 2}",
        "optimisers.generator.decay=1",
        "optimisers.discriminators.decay=1",
        "schedules.mpd={use: exponential, decay: 0.5, every: 1, by: step}",
        "schedules.generator={use: warmup_cosine}",
    )
    workshop.train(tmp_path, *QUICK, *sets)
    found = {name: [row[name] for row in rows(tmp_path)] for name in rows(tmp_path)[0] if name.startswith("rate/")}
    assert found == {
        "rate/generator": pytest.approx([1e-3 * (1 + math.cos(math.pi * step / 3)) / 2 for step in range(3)]),
        "rate/mpd": pytest.approx([1e-2 / 2, 1e-2 / 2, 1e-2 / 4]),
        "rate/discriminators": pytest.approx([1e-3] * 3),
    }


def test_groups_have_settings_of_their_own_and_follow_the_schedule(workshop, tmp_path):
    group = "{slow: {parameters: [generator.embed, generator.norm], lr: 1e-5, betas: [0, 0.5]}}"
    run = workshop.trainer(
        tmp_path, f"optimisers.generator.groups={group}", "schedules.generator={use: exponential, decay: 0.5, by: step}"
    )
    side = run.components.networks["generator"]
    rest, slow = side.optimisers["generator"].param_groups
    names = {id(each): name for name, each in named(run.components.parts)["generator"].items()}
    assert {names[id(each)] for each in slow["params"]} == {
        name for name in names.values() if name.startswith(("generator.embed.", "generator.norm."))
    }
    assert {*map(id, slow["params"]), *map(id, rest["params"])} == names.keys()
    assert len(slow["params"]) + len(rest["params"]) == len(names)
    assert (slow["lr"], slow["betas"], rest["lr"], rest["betas"]) == (1e-5, (0.0, 0.5), 1e-3, (0.8, 0.99))
    assert slow["weight_decay"] == rest["weight_decay"]
    side.set_rate("generator", run.rates.factor("generator", 2, 0))
    assert (slow["lr"], rest["lr"]) == (1e-5 / 4, 1e-3 / 4)


def test_a_group_of_an_optimiser_with_several_rates_is_set_apart_in_each(workshop, tmp_path):
    """Muon's matrices and AdamW's vectors in one group: each of them keeps its kind, and has the group's rate."""
    group = "{slow: {parameters: [generator.embed], lr: 1e-5}}"
    run = workshop.trainer(tmp_path, f"optimisers.generator={{use: muon, groups: {group}}}")
    groups = run.components.networks["generator"].optimisers["generator"].param_groups
    assert [(each["matrices"], each["lr"]) for each in groups] == [
        (True, 0.02), (False, 3e-4), (True, 1e-5), (False, 1e-5)
    ]  # fmt: skip
    assert [[each.dim() > 1 for each in group["params"]] for group in groups[2:]] == [[True], [False]]


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (
            ["optimisers.g={use: sgd, parameters: [generator.embad]}"],
            "optimisers.g.parameters: no parameter's name begins with 'generator.embad'; did you mean 'generator.embed'",
        ),
        (
            ["optimisers.a={use: sgd, parameters: ['generator.*.bias']}",
             "optimisers.b={use: sgd, parameters: [generator.embed]}"],
            "optimisers.a and optimisers.b both take generator.embed.bias; a parameter belongs to one",
        ),
        (
            ["optimisers.generator.parameters=[generator.embed]"],
            "none takes generator.* others; add them to the parameters of one, let optimisers.generator take the rest",
        ),
        (
            ["optimisers.g={use: sgd, parameters: [generator.embed]}", "init.freeze=[generator.embed]"],
            "optimisers.g has nothing to learn: what it would take belongs to other optimisers, or is named in init.freeze",
        ),
        (
            ["optimisers.g={use: sgd, parameters: ['generator.*']}"],
            "optimisers.generator has nothing to learn",
        ),
        (
            ["optimisers.generator.groups={a: {parameters: [generator.embad], lr: 1}}"],
            "optimisers.generator.groups.a: no parameter's name begins with 'generator.embad'; did you mean",
        ),
        (
            ["optimisers.g={use: sgd, parameters: [generator.embed]}",
             "optimisers.generator.groups={a: {parameters: [generator.embed], lr: 1}}"],
            "optimisers.generator.groups.a: no parameter's name begins with 'generator.embed'.*, of what optimisers.generator",
        ),
        (
            ["optimisers.generator.groups={a: {parameters: ['generator.*.bias'], lr: 1}, "
             "b: {parameters: [generator.embed], lr: 2}}"],
            "optimisers.generator.groups.a and optimisers.generator.groups.b both take generator.embed.bias",
        ),
        (
            ["optimisers.generator={use: muon, groups: {a: {parameters: ['generator.*.bias'], momentum: 0.5}}}"],
            "optimisers.generator.groups.a: muon has no momentum for these parameters",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_shared_out_is_refused_before_the_first_step(workshop, tmp_path, sets, message):
    with pytest.raises(TrainingError, match=message):
        workshop.trainer(tmp_path, *sets)
    assert not (tmp_path / "checkpoints").exists()


def test_names_that_an_optimiser_looks_for_are_those_of_the_side(workshop, tmp_path):
    with pytest.raises(RecipeError, match=r"adamw: no parameter's name begins with 'generator.embad'; did you mean"):
        workshop.trainer(tmp_path, "optimisers.generator={use: muon, adamw: [generator.embad]}")
    run = workshop.trainer(tmp_path, "optimisers.generator={use: muon, adamw: [generator.embed]}")
    _, others = run.components.networks["generator"].optimisers["generator"].param_groups
    embed = run.components.parts.generator.embed.weight
    assert any(each is embed for each in others["params"])


def test_names_that_torch_keeps_beside_parameters_are_set_apart_with_them(workshop, tmp_path, monkeypatch):
    """A part may hand the pairs that it is given to torch, which then keeps names in its groups."""
    from gansemble_plugins.basics import optimisers as place

    monkeypatch.setattr(place, "sgd", lambda named_parameters, *, lr=0.1: torch.optim.SGD(named_parameters, lr=lr))
    group = "{slow: {parameters: [generator.embed], lr: 1e-5}}"
    run = workshop.trainer(tmp_path, f"optimisers.generator={{use: sgd, groups: {group}}}")
    rest, slow = run.components.networks["generator"].optimisers["generator"].param_groups
    everything = named(run.components.parts)["generator"]
    for each in (rest, slow):
        assert [id(everything[name]) for name in each["param_names"]] == [id(own) for own in each["params"]]
    assert slow["param_names"] == ["generator.embed.weight", "generator.embed.bias"]
    assert sorted([*rest["param_names"], *slow["param_names"]]) == sorted(everything)


def test_what_an_optimiser_leaves_out_is_named(workshop, tmp_path, monkeypatch):
    """It would not learn, and nothing would say so."""
    from gansemble_plugins.basics import optimisers as place

    monkeypatch.setattr(place, "sgd", lambda parameters, *, lr=0.1: torch.optim.SGD(list(parameters)[1:], lr=lr))
    with pytest.raises(TrainingError, match=r"optimisers.generator \(sgd\): generator.embed.weight would not learn"):
        workshop.trainer(tmp_path, "optimisers.generator={use: sgd}")


def test_parameters_are_all_shared_out_once(workshop):
    recipe = workshop.load(*SEVERAL)
    parts = build(recipe, CPU)
    found, everything = shares(recipe, parts), named(parts)
    assert {side: list(each) for side, each in found.items()} == {
        "generator": ["generator"], "discriminators": ["discriminators", "mpd"]
    }  # fmt: skip
    for side, each in found.items():
        assert sorted(name for names in each.values() for name in names) == sorted(everything[side])
    assert all(name.startswith("discriminators.mpd.") for name in found["discriminators"]["mpd"])
    networks = {"generator": parts.generator, "discriminators": parts.discriminators}
    for side, network in networks.items():
        assert [id(each) for each in everything[side].values()] == [id(each) for each in network.parameters()]


def test_frozen_names_may_have_a_star(workshop):
    recipe = workshop.load("init.freeze=['generator.*.bias', discriminators.mpd.*.0]")
    parts = build(recipe, CPU)
    freeze(recipe, parts)
    held = {name for known in named(parts).values() for name, each in known.items() if not each.requires_grad}
    biases = {name for name in named(parts)["generator"] if name.endswith(".bias")}
    assert biases < held and any(name.startswith("discriminators.") for name in held)
    assert {name for name in held if name.startswith("generator.")} == biases


def test_a_phase_with_fresh_optimisers_clears_all_of_them(workshop, tmp_path):
    phases = "plan.phases=[{steps: 2}, {steps: 1, fresh_optimisers: true}]"
    run = workshop.train(tmp_path, *QUICK, phases, SEVERAL[0], SEVERAL[1])
    counts = {
        name: {int(state["step"]) for state in each.state.values()}
        for side in run.components.networks.values()
        for name, each in side.optimisers.items()
    }
    assert counts == {"generator": {1}, "mpd": {1}, "discriminators": {1}}


@pytest.fixture(scope="module")
def source(workshop, tmp_path_factory):
    """A finished run with an optimiser for each of two discriminators."""
    exp = tmp_path_factory.mktemp("source")
    workshop.train(exp, *QUICK, *SEVERAL[:2])
    return exp


def test_a_run_may_begin_with_the_optimisers_of_another(workshop, source, tmp_path):
    run = workshop.trainer(tmp_path, *QUICK, *SEVERAL[:2], f"init.exp={source}", "init.optimisers=true")
    saved = Store(source / "checkpoints").newest().state("optimiser-discriminators")["optimisers"]
    for name, each in run.components.networks["discriminators"].optimisers.items():
        ours, theirs = each.state_dict()["state"], saved[name]["state"]
        assert ours.keys() == theirs.keys() and len(ours) > 2
        assert all(torch.equal(ours[key]["exp_avg"], theirs[key]["exp_avg"]) for key in ours)


MOVED = ("optimisers.mpd.parameters=[discriminators.shuffled]",)
MERGED = ("optimisers.mpd=null",)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (MOVED, r"its optimisers of the discriminators are not this recipe's \(.* is of other parameters: "),
        (MERGED, r"\(it has .*mpd.*, this recipe discriminators\)"),
        (["optimisers.mpd.groups={a: {parameters: ['discriminators.*.bias'], lr: 1}}"], "mpd is of other parameters: in other groups"),
    ],
)  # fmt: skip
def test_states_are_never_given_to_other_parameters(workshop, source, tmp_path, sets, message):
    """Their number and shapes may happen to fit: the names are compared."""
    import shutil

    shutil.copytree(source, tmp_path / "exp")
    longer = ("plan.steps=5", *QUICK[1:], *SEVERAL[:2], *sets)
    with pytest.raises(CheckpointError, match=message):
        workshop.train(tmp_path / "exp", *longer, allow_change=True)
    message = message.replace("its optimisers of the discriminators are", "its optimiser of the discriminators is")
    with pytest.raises(CheckpointError, match=message):
        workshop.trainer(tmp_path / "new", *longer, f"init.exp={source}", "init.optimisers=true")


class Old:
    """A checkpoint from before a side could have several optimisers."""

    def __init__(self, saved):
        self.saved = saved

    def state(self, name):
        state = self.saved.state(name)
        return {"optimiser": state["optimisers"]["generator"], "scaler": state["scaler"]}


def test_a_checkpoint_with_one_optimiser_of_a_side_can_be_read(workshop, source, tmp_path):
    run = workshop.trainer(tmp_path, *QUICK)
    saved = Store(source / "checkpoints").newest()
    side = run.components.networks["generator"]
    read_optimisers(Old(saved), "generator", side)
    theirs = saved.state("optimiser-generator")["optimisers"]["generator"]["state"]
    ours = side.optimisers["generator"].state_dict()["state"]
    assert all(torch.equal(ours[key]["exp_avg_sq"], theirs[key]["exp_avg_sq"]) for key in theirs) and theirs


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("overflow", [False, True])
def test_an_overflow_leaves_out_the_step_of_every_optimiser_of_a_side(workshop, clip, overflow):
    """One scaler serves them all: half a side must not step on without the other half."""
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    made = {str(number): torch.optim.SGD(layer.parameters(), lr=0.1) for number, layer in enumerate(network)}
    plan = workshop.load(f"plan.clip={'null' if clip is None else clip}").plan
    side = NetworkOptimiser(network, network, made, plan)
    side.scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    side.backward(network(torch.ones(1, 2)).sum())
    if overflow:
        network[0].weight.grad[0, 0] = math.inf
    before = [each.detach().clone() for each in network.parameters()]
    side.learn(measure=False)
    moved = [not torch.equal(each, other) for each, other in zip(network.parameters(), before, strict=True)]
    assert moved == [not overflow] * 4 and side.loss_scale == (2.0 if overflow else 4.0)
    assert all(each.grad is None for each in network.parameters())


class Odd:
    def __init__(self, value):
        self.value = value

    def __call__(self, step, epoch, steps):
        return self.value if step else 1.0


@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan, "fast", None])
def test_a_factor_that_is_none_stops_the_run(workshop, tmp_path, value):
    """Whatever the check and the kit have not seen, as it happens at some step only."""
    run = workshop.trainer(tmp_path, *QUICK)
    run.rates.schedules["generator"] = Odd(value)
    run.recipe.many["schedules"]["generator"] = run.recipe.many["optimisers"]["generator"]
    with pytest.raises(
        TrainingError, match=r"schedules.generator \(adamw\): expected a finite factor .* at step 1 of 3"
    ):
        run.run()


def test_a_recipe_without_discriminators_may_keep_their_optimiser(workshop):
    """As one that includes another and takes the discriminators out."""
    recipe = workshop.load("discriminators=null", "objective=null", "losses.features=null", "noise_injector=null")
    found = optimisers(recipe, build(recipe, CPU))
    assert {side: list(each) for side, each in found.items()} == {"generator": ["generator"], "discriminators": []}
