"""What a researcher from outside wanted and the first design did not foresee: each by documented means, and in how many lines.

``before`` is how many lines of plugin and recipe the same took when it was first tried, with the documentation alone; where a
trick was needed for it then, a third of that has to do now.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from gansemble.plugins import loading
from gansemble.recipe import check
from gansemble.recipe.document import RecipeError
from gansemble.training.components import Components
from gansemble.training.trainer import Trainer

SNIPPETS = Path(__file__).parents[2] / "docs" / "snippets"
JUDGE = """\
import torch
from torch import nn
from gansemble import hookimpl
from gansemble.contract import DiscriminatorContract
from gansemble.interfaces import DiscriminatorOutput

@hookimpl
def gansemble_register(register):
    register("discriminator", "mel_judge", f"{__name__}:MelJudge", "frames of samples beside their mel spectrogram")

class MelJudge(nn.Module):
    @staticmethod
    def contract(parameters):
        return DiscriminatorContract(needs=frozenset({"mel"}))

    def __init__(self, *, audio):
        super().__init__()
        self.hop, self.conv = audio.hop, nn.Conv1d(audio.hop + audio.mels, 1, 3)

    def forward(self, x, condition):
        frames = x[:, 0].unflatten(-1, (-1, self.hop)).transpose(1, 2)
        return DiscriminatorOutput(self.conv(torch.cat([frames, condition.signal("mel")], 1)).flatten(1))
"""
NOTE = """\
from gansemble import hookimpl

@hookimpl
def gansemble_register(register):
    register("observer", "note", f"{__name__}:Note", "writes what it is told to a file")

class Note:
    def __init__(self, *, path: str): self.path = path
    def step(self, done, logs): open(self.path, "a").write(f"{done}\\n")
    def validation(self, done, scores): pass
    def end(self, error): pass
"""
SPOKEN = "corpus: {use: fsdd}\naudio: {sample_rate: 8000, fmax: null}\ndata: {short: pad}\n"
RATES = "upsample_rates: [8, 8], upsample_kernels: [16, 16], kernels: [3]"


@dataclass(frozen=True)
class Need:
    """Something wanted, how many lines it took before and whether by a trick, and what it takes now."""

    before: int
    trick: bool
    recipe: str
    plugin: str = ""
    base: str = ""

    @property
    def lines(self) -> int:
        return sum(bool(line.strip()) for line in f"{self.recipe}\n{self.plugin}".splitlines())


NEEDS = {
    "a discriminator that reads the mel spectrogram": Need(33, False, "discriminators: {judge: {use: mel_judge}}", JUDGE),
    "a vocoder that is told the speaker": Need(
        27,
        True,
        "data: {label: speaker}\n"
        f"generator: {{use: hifigan, channels: 8, {RATES}, dilations: [[1]], classes: 2}}",
        base=SPOKEN,
    ),
    "a teacher": Need(20, False, "teacher: {exp: EXP}\nlosses: {taught: {use: distillation, of: waveform}}"),
    "a loss with pretrained features": Need(
        27,
        False,
        "losses: {perceptual: {use: perceptual, weights: FEATURES, width: 8}}",
        (SNIPPETS / "perceptual.py").read_text(),
    ),
    "another schedule": Need(20, True, "schedules: {generator: {use: one_cycle}}"),
    "a callback every few steps": Need(21, True, "observers: {note: {use: note, path: NOTES}}", NOTE),
    "the fundamental frequency": Need(
        49,
        True,
        f"generator: {{use: hnsf, channels: 8, {RATES}, dilations: [1]}}\nfeatures: {{f0: {{use: f0, fmin: 80, fmax: 400}}}}",
        base=SPOKEN,
    ),
    "a rate of its own for one discriminator": Need(
        14, True, "optimisers: {mpd: {use: adamw, lr: 1e-4, parameters: [discriminators.mpd]}}"
        "\ndiscriminators: {mrd: {use: multi_resolution, resolutions: [[256, 64, 256]], channels: 3}}",
    ),
    "Muon for matrices": Need(48, True, "optimisers: {generator: {use: muon, lr: 0.01}}"),
    "another pitch in every epoch": Need(38, True, "perturbations: {pitch: {use: pitch, semitones: [-2, 2]}}"),
    "R3GAN's objective": Need(
        17, True, "objective: {use: relativistic}\nregularisers: {r1: {use: r1, gamma: 1}, r2: {use: r2, gamma: 1}}"
        "\ndiscriminators: {mpd: {use: multi_period, periods: [2], channels: [3, 4]}}",
    ),
    "fine-tuning at a lower rate": Need(4, False, "init: {exp: EXP}\noptimisers: {generator: {lr: 1e-5}, discriminators: {lr: 1e-5}}"),
}  # fmt: skip
#: What takes more than a third of the lines that the trick took, and why.
LONGER = {"a callback every few steps": "four of its ten lines register it, as of any plugin"}


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """``plugin(text)`` loads a single-file plugin for the test."""
    monkeypatch.setenv(loading.FILES, "")  # so that what is added is gone after the test

    def load(text: str) -> None:
        path = tmp_path / f"from_outside_{abs(hash((text, tmp_path))) % 10**8}.py"
        path.write_text(text)
        loading.add_files((path,))

    return load


@pytest.fixture(scope="module")
def spoken(workshop, tmp_path_factory) -> Path:
    """Packed words of two speakers."""
    from gansemble.data import prepare

    folder = tmp_path_factory.mktemp("spoken")
    path = folder / "spoken.yaml"
    path.write_text(f"include: [{workshop.recipe}]\n{SPOKEN}")
    recipe = check.load(path)
    prepare.corpus_of(recipe).mini(folder / "data")
    prepare.prepare(recipe, folder / "data", folder / "dump", 1, lambda line: None)
    return folder / "dump"


@pytest.mark.slow
@pytest.mark.parametrize("name", NEEDS)
def test_what_was_not_foreseen_trains_by_documented_means(name, workshop, straight, spoken, plugin, tmp_path):
    need = NEEDS[name]
    if need.plugin:
        plugin(need.plugin)
    torch.manual_seed(0)
    layers = (torch.nn.Conv1d(1, 8, 64, stride=32), torch.nn.ELU(), torch.nn.Conv1d(8, 16, 5, stride=2))
    torch.save(torch.nn.Sequential(*layers).state_dict(), tmp_path / "features.pt")
    text = need.recipe.replace("EXP", str(straight.parents[1])).replace("NOTES", str(tmp_path / "notes"))
    text = text.replace("FEATURES", str(tmp_path / "features.pt"))
    base = tmp_path / "base.yaml"
    base.write_text(f"include: [{workshop.recipe}]\n{need.base}")
    path = tmp_path / "wanted.yaml"
    path.write_text(f"include: [base.yaml]\n{text}\n")
    sets = ["plan.steps=2", "plan.batch_size=2", "plan.log_every=1", "plan.save_every=2", "validation.every=2"]
    recipe = check.load(path, sets)
    trainer = Trainer(Components.build(recipe, tmp_path / "exp", spoken if need.base else workshop.dump))
    before = {key: value.clone() for key, value in trainer.components.parts.generator.state_dict().items()}
    assert trainer.run() == 2
    after = trainer.components.parts.generator.state_dict()
    assert any(not torch.equal(before[key], after[key]) for key in before)
    if "NOTES" in need.recipe:
        assert (tmp_path / "notes").read_text() == "1\n2\n"


@pytest.mark.parametrize("name", NEEDS)
def test_a_trick_of_old_takes_a_third_of_its_lines(name):
    need = NEEDS[name]
    if need.trick and name not in LONGER:
        assert 3 * need.lines <= need.before, f"{need.lines} lines, {need.before} before"
    assert need.lines <= max(need.before, 40)


def test_a_discriminator_is_given_no_signal_that_the_generator_does_not_read(workshop, plugin, tmp_path):
    plugin(JUDGE)
    path = tmp_path / "wanted.yaml"
    path.write_text(
        f"include: [{workshop.recipe}]\ndata: {{signals: {{codes: codes}}}}\ndiscriminators: {{judge: {{use: mel_judge}}}}\n"
        f"generator: {{use: unit_hifigan, channels: 8, {RATES}, dilations: [[1]]}}\n"
    )
    with pytest.raises(RecipeError) as error:
        check.load(path)
    assert "needs the signal 'mel', but a condition holds what generator (unit_hifigan) reads, which is codes" in str(
        error.value
    )
    assert "--set discriminators.judge=null" in str(error.value)
