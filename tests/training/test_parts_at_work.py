"""A part that fails, or returns what cannot be used, ends the run with its name and use, not with an error of torch."""

from __future__ import annotations

import pytest
import torch

from gansemble.errors import DataError, PartError
from gansemble.interfaces.at_work import AtWork, shown
from gansemble.plugins import loading
from gansemble.training.components import Components
from gansemble.training.trainer import Trainer

PARTS = """\
import numpy as np
import torch
from torch import nn
from gansemble import hookimpl
from gansemble.contract import DiscriminatorContract, GeneratorContract
from gansemble.interfaces import DiscriminatorOutput, Score

@hookimpl
def gansemble_register(register):
    for kind, name in NAMES:
        register(kind, name, f"{__name__}:{name.title().replace('_', '')}", "misbehaves")

NAMES = [("loss", "odd_loss"), ("discriminator", "odd_judge"), ("generator", "odd_maker"), ("noise_injector", "odd_noise"),
    ("metric", "odd_metric"), ("schedule", "odd_rate"), ("objective", "odd_aim"), ("monitor", "odd_watch")]

def boom(): raise RuntimeError("no such thing")

class OddLoss:
    turns = ("generator",)
    def __init__(self, *, how: str = "raise"): self.how = how
    def __call__(self, step, turn):
        each = (step.fake - step.real).abs().flatten(1).mean(1)
        return {"raise": boom, "each": lambda: each, "float": lambda: 1.5, "none": lambda: None,
                "whole": lambda: torch.zeros((), dtype=torch.int64), "tuple": lambda: (each.mean(), {})}[self.how]()

class OddJudge(nn.Module):
    @staticmethod
    def contract(parameters): return DiscriminatorContract()
    def __init__(self, *, how: str = "raise"):
        super().__init__()
        self.how, self.weight = how, nn.Parameter(torch.ones(1))
    def forward(self, x, condition):
        score = x.mean((1, 2))[:, None] * self.weight
        return {"raise": boom, "bare": lambda: score, "flat": lambda: DiscriminatorOutput(score[:, 0]),
                "few": lambda: DiscriminatorOutput(score[:1]), "nothing": lambda: []}[self.how]()

class OddMaker(nn.Module):
    @staticmethod
    def contract(parameters): return GeneratorContract(reads=frozenset({"mel"}))
    def __init__(self, *, how: str = "raise"):
        super().__init__()
        self.how, self.conv = how, nn.Conv1d(20, 64, 1)
    def forward(self, condition):
        made = self.conv(condition.signal("mel")).transpose(1, 2).flatten(1)[:, None]
        return {"raise": boom, "short": lambda: made[..., :-1], "two": lambda: (made, made),
                "flat": lambda: made[:, 0], "half": lambda: made[:2]}[self.how]()

class OddNoise:
    def __init__(self, *, how: str = "raise"): self.how = how
    def __call__(self, real, fake, batch):
        return {"raise": boom, "one": lambda: fake, "longer": lambda: (real, torch.cat([fake, fake], 2))}[self.how]()

class OddAim:
    def __init__(self, *, how: str = "raise"): self.how = how
    def discriminator(self, real_score, fake_score):
        return {"raise": boom, "each": lambda: fake_score - real_score}[self.how]()
    def generator(self, fake_score): return fake_score.mean()

class OddMetric:
    definition, better = "odd", "lower"
    def __init__(self, *, how: str = "raise"): self.how = how
    def score(self, estimate, reference, sample_rate):
        if len(estimate) == sample_rate: return {"odd_metric": Score(0.0)}  # what names its keys
        return {"raise": boom, "float": lambda: 1.0, "text": lambda: {"odd_metric": Score("high")},
                "bare": lambda: {"odd_metric": 1.0}, "empty": dict}[self.how]()

class OddRate:
    def __init__(self): pass
    def __call__(self, step, epoch, steps): return 1.0 if step in (0, steps // 2, steps - 1) else boom()  # the check's

class OddWatch:
    every = 1
    def __init__(self, *, how: str = "raise"): self.how = how
    def item_values(self, step): return {"raise": boom, "list": lambda: [1], "late": lambda: {"x": step.fake[:, 0, 0]}}[self.how]()
    def summarise(self, values): boom()
    def judge(self, steps, values): return None
"""
LOSS, JUDGE, MAKER = (
    "losses.odd={{use: odd_loss, how: {}}}",
    "discriminators.odd={{use: odd_judge, how: {}}}",
    "generator={{use: odd_maker, how: {}}}",
)
NOISE, AIM = "noise_injector={{use: odd_noise, how: {}}}", "objective={{use: odd_aim, how: {}}}"
METRIC, WATCH = "metrics.odd={{use: odd_metric, how: {}}}", "monitors.odd={{use: odd_watch, how: {}}}"
FAULTS = [
    (LOSS, "raise", "losses.odd (odd_loss) failed in the generator's turn of step 1: RuntimeError: no such thing at "),
    (LOSS, "each", "losses.odd (odd_loss), in the generator's turn of step 1, must return a scalar, a floating-point tensor []"),
    (LOSS, "each", "got float32 [2]"),
    (LOSS, "float", "got float 1.5"),
    (LOSS, "none", "got NoneType None"),
    (LOSS, "whole", "got int64 []"),
    (LOSS, "tuple", "got tuple of float32 [], dict {}"),
    (JUDGE, "raise", "discriminators.odd (odd_judge) failed to judge items: RuntimeError: no such thing at "),
    (JUDGE, "bare", "discriminators.odd (odd_judge) must return a DiscriminatorOutput or a sequence of them, got float32 [2, 1]"),
    (JUDGE, "flat", "failed to judge items: ValueError: DiscriminatorOutput.score must be [B, N], got shape (2,) at "),
    (JUDGE, "few", "got float32 [1, 1]"),
    (JUDGE, "nothing", "got an empty list"),
    (MAKER, "raise", "generator (odd_maker) failed: RuntimeError: no such thing at "),
    (MAKER, "short", "generator (odd_maker), in step 1, must return a floating-point tensor [2, 1, 2048], got float32 [2, 1, 2047]"),
    (MAKER, "two", "generator (odd_maker) must return a floating-point tensor [1, …], got tuple of float32 [1, 1, 20032], float32 [1, 1, 20032]"),
    (MAKER, "flat", "the generator must return audio [1, C, T], got float32 [1, 20032]"),
    (NOISE, "raise", "noise_injector (odd_noise) failed in step 1: RuntimeError: no such thing at "),
    (NOISE, "one", "noise_injector (odd_noise) must return (real items, fakes), two tensors of the shapes that it was given"),
    (NOISE, "longer", "noise_injector (odd_noise) must return a floating-point tensor [2, 1, 2048], got float32 [2, 1, 4096]"),
    (AIM, "raise", "objective (odd_aim) failed in the discriminator's turn of step 1: RuntimeError: no such thing at "),
    (AIM, "each", "objective (odd_aim) must return a scalar"),
    (METRIC, "raise", "metrics.odd (odd_metric) failed: RuntimeError: no such thing at "),
    (METRIC, "float", "metrics.odd (odd_metric) must return scores by key, such as {'snr': Score(12.5)}, got float 1.0"),
    (METRIC, "text", "must return a Score with a number as 'odd_metric', got str 'high'"),
    (METRIC, "bare", "must return a Score with a number as 'odd_metric', got float 1.0"),
    (METRIC, "empty", "must return scores by key"),
    (WATCH, "raise", "monitors.odd (OddWatch) failed in step 1: RuntimeError: no such thing at "),
    (WATCH, "list", "monitors.odd (OddWatch) must return tensors of values by key, got list of int 1"),
    (WATCH, "late", "monitors.odd (OddWatch) failed after step 1: RuntimeError: no such thing at "),
    ("schedules.generator={{use: odd_rate}}", "", "schedules.generator (odd_rate) failed at step 1: RuntimeError: no such thing at "),
]  # fmt: skip
SMALL = ["plan.steps=1", "plan.batch_size=2", "plan.accumulate=1", "plan.log_every=1", "validation.every=1"]
SMALL += ["losses.features=null", "metrics.mel_distance=null", "noise_injector=null", "losses.mel.weight=1"]


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    path = tmp_path_factory.mktemp("odd") / "odd_parts.py"
    path.write_text(PARTS)
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv(loading.FILES, str(path))
        yield path


@pytest.mark.parametrize(("part", "how", "said"), FAULTS, ids=lambda value: str(value)[:24])
def test_a_part_that_misbehaves_is_named_with_what_it_returned(odd, workshop, tmp_path, part, how, said):
    metric = "metrics.snr={use: snr}" if part != METRIC else "metrics.snr=null"
    chosen = "odd" if part == METRIC else "snr"
    small = [
        each for each in SMALL if "odd_rate" not in part or not each.startswith(("plan.steps", "validation.every"))
    ]
    sets = [*small, metric, part.format(how), f"validation.metrics=[{chosen}]", f"validation.best={chosen}"]
    with pytest.raises(PartError) as error:
        Trainer(Components.build(workshop.load(*sets), tmp_path / "exp", workshop.dump)).run()
    assert said in str(error.value) and "\n" not in str(error.value)
    assert "GANSEMBLE_TRACEBACK=1 shows the whole traceback" in str(error.value)
    if said.endswith(" at "):
        assert f"at {odd}:" in str(error.value), "where in the part's own file"
        assert isinstance(error.value.__cause__, RuntimeError | ValueError)


def test_the_command_line_shows_a_parts_fault_in_one_line(odd, workshop, tmp_path):
    result = workshop.stage("train", tmp_path / "exp", *SMALL, LOSS.format("each"), "validation.metrics=[]")
    assert isinstance(result.exception, PartError)


def test_an_error_that_is_meant_for_the_user_and_a_lack_of_memory_are_left_as_they_are():
    for error in (
        DataError("no clips"),
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        KeyboardInterrupt(),
    ):
        with pytest.raises(type(error)), AtWork("losses.mel (mel_l1)"):
            raise error


def test_a_long_error_is_cut_and_a_value_is_shown_by_its_shape():
    with pytest.raises(PartError) as error, AtWork("metrics.snr (snr)"):
        raise ValueError("x" * 100_000)
    assert len(str(error.value)) < 1000
    assert shown(torch.zeros(2, 3)) == "float32 [2, 3]" and len(shown("x" * 100_000)) < 1000


def test_a_name_that_torch_keeps_for_itself_is_refused(workshop, tmp_path):
    judge = "discriminators.keys={use: multi_period, periods: [2], channels: [3, 4]}"
    with pytest.raises(PartError, match=r"discriminators.keys: torch keeps the name 'keys' for itself; choose another"):
        Components.build(workshop.load(judge), tmp_path / "exp", workshop.dump)
