"""Metrics, corpora, features, schedules, optimisers, monitors, observers and objectives of unusual kinds."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.audio import files
from gansemble.audio.spec import AudioSpec
from gansemble.contract import CorpusContract, FeatureContract, ScheduleContract
from gansemble.data.manifest import Clip
from gansemble.errors import DataError
from gansemble.interfaces import Alarm, Score, Step

RATE = 16000


class PitchErrors:
    """Two scores by the loudest frequency, which has no value where noise is about as loud as the tone."""

    definition = "distance of the loudest frequencies [Hz], and of their shares of the energy"
    better: Literal["higher", "lower"] = "lower"

    def loudest(self, audio: Any, sample_rate: int) -> tuple[float, float] | str:
        """(loudest frequency [Hz], its share of the energy), or why there is none."""
        if len(audio) < 4096:
            return "fewer than 4096 samples"
        if not np.isfinite(audio).all():
            return "audio that is not finite"
        power = np.square(np.abs(np.fft.rfft(audio[:4096] * np.hanning(4096))))
        if power.sum() < 1e-9:
            return "silence"
        share = float(power.max() / power.sum())
        return "no frequency stands out" if share < 0.1 else (float(power.argmax()) * sample_rate / 4096, share)

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        ours, theirs = (self.loudest(x, sample_rate) for x in (estimate, reference))
        for found in (ours, theirs):
            if isinstance(found, str):
                return {"pitch": Score(math.nan, found), "share": Score(math.nan, found)}
        pairs = zip(("pitch", "share"), zip(ours, theirs, strict=True), strict=True)
        return {key: Score(abs(float(a) - float(b))) for key, (a, b) in pairs}  # type: ignore[arg-type]


class NamedClasses:
    """A corpus whose labels are words."""

    words = ("cat", "dog", "owl")

    def fetch(self, folder: Path) -> None:
        """Nothing to download."""

    def labels(self, word: str) -> dict[str, int | str]:
        return {"label": word}

    def scan(self, folder: Path) -> list[Clip]:
        found = sorted((folder / "wavs").glob("*.wav"))
        if not found:
            raise DataError(f"{folder}: expected wavs/*.wav, found none")
        splits = ("train", "validation")
        return [
            Clip(path.stem, f"wavs/{path.name}", splits[place % 2], self.labels(path.stem[:3]))
            for place, path in enumerate(found)
        ]

    def mini(self, folder: Path) -> None:
        (folder / "wavs").mkdir(parents=True)
        for place, word in enumerate(self.words):
            for take in range(2):
                sound = 0.3 * np.sin(2 * np.pi * 220 * (place + 1) * np.arange(RATE // 4) / RATE + take)
                files.write(folder / "wavs" / f"{word}-{take}.wav", sound, RATE)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        return CorpusContract(gives=frozenset({"labels"}), classes=3)


class Speakers(NamedClasses):
    """A corpus whose labels are called after what they are; the recipe says data.label: speaker."""

    def labels(self, word: str) -> dict[str, int | str]:
        return {"speaker": word}

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        return CorpusContract(gives=frozenset({"labels"}))


class Sounding:
    """Whether anything sounds in a frame: 1 of every tone, 0 of silence."""

    def __init__(self, *, audio: AudioSpec) -> None:
        self.hop = audio.hop

    def __call__(self, audio: Tensor) -> Tensor:
        return (audio[:, 0].unfold(-1, self.hop, self.hop).abs().amax(-1)[:, None] > 1e-4).float()

    @staticmethod
    def contract(parameters: dict[str, Any]) -> FeatureContract:
        return FeatureContract(channels=1)


class WarmsUp(Sounding):
    """A level that follows the sound with a delay of a few frames, and begins at zero."""

    def __call__(self, audio: Tensor) -> Tensor:
        level, frames = torch.zeros(len(audio)), []
        for frame in audio[:, 0].unfold(-1, self.hop, self.hop).abs().mean(-1).unbind(1):
            level = 0.5 * level.to(frame) + 0.5 * frame
            frames.append(level)
        return torch.stack(frames, 1)[:, None]


class FromZero:
    """A linear warm-up of 100 steps that begins at zero, and a line down to the plan's end."""

    def __call__(self, step: int, epoch: int, steps: int) -> float:
        return min(1.0, step / 100) * max(0.0, 1 - step / steps)


class Waits:
    """Nothing for 500 steps, then the whole rate."""

    def __call__(self, step: int, epoch: int, steps: int) -> float:
        return float(step >= 500)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> ScheduleContract:
        return ScheduleContract(ends_with_the_plan=False)


class WarmsUpItself(torch.optim.Optimizer):
    """Gradient descent whose first ten steps are smaller, the first of them nothing.

    Args:
        lr: the learning rate.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float = 0.05) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    done = self.state[weight].setdefault("step", torch.tensor(0.0))
                    weight -= group["lr"] * min(1.0, float(done) / 10) * weight.grad
                    done += 1


class Looks:
    """Measures and judges nothing: it has no state to speak of."""

    every = 25

    def item_values(self, step: Step) -> dict[str, Tensor]:
        (output,) = step.fake_output["one"]
        return {"features": torch.stack([each.detach().flatten(1).abs().mean(1) for each in output.features], 1)}

    def summarise(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        found = values["features"][torch.isfinite(values["features"]).all(1)]
        return {"low": float(found[:, 0].mean()), "high": float(found[:, 1].mean())} if len(found) else {}

    def judge(self, steps: int, values: Mapping[str, float]) -> Alarm | None:
        return None

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


class WritesLogs:
    """Writes into the folder of the experiment's logs, which is there before it begins."""

    def begin(self, exp: Path, recipe: Mapping[str, object], done: int) -> None:
        self.path = exp / "logs" / "numbers.txt"
        self.path.write_text(f"{done}\n")

    def step(self, done: int, logs: Mapping[str, float]) -> None:
        self.path.write_text(f"{done} {sorted(logs)}\n")

    def validation(self, done: int, scores: Mapping[str, float]) -> None:
        self.path.write_text(f"{done} {sorted(scores)}\n")

    def end(self, error: BaseException | None) -> None:
        pass


class Compares:
    """Relativistic averages (Jolicoeur-Martineau 2018)... of each item by itself: softplus of differences."""

    needs_real_output = True

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        return F.softplus(fake_score.float() - real_score.float()).mean()

    def generator(self, fake_score: Tensor, real_score: Tensor) -> Tensor:
        return F.softplus(real_score.float() - fake_score.float()).mean()
