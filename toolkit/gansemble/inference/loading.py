"""A trained generator, loaded from its experiment and ready for use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gansemble.abilities import Fitted, Growable
from gansemble.audio.spec import AudioSpec
from gansemble.data.trained_on import History
from gansemble.errors import CheckpointError, GansembleError
from gansemble.interfaces import Condition, Representation
from gansemble.parts.build import Waveform, generator
from gansemble.parts.conditioning import ConditionBuilder
from gansemble.parts.device import default_device, device_of
from gansemble.parts.sampling import LatentSampler
from gansemble.recipe import check
from gansemble.recipe.construct import construct
from gansemble.recipe.schema import Recipe
from gansemble.recipe.task import Task
from gansemble.training import checkpoint
from gansemble.training.schedule import TrainingSchedule

Warn = Callable[[str], None]


@dataclass
class TrainedGenerator:
    """A generator ready for use: without weight norms, in eval mode, without gradients.

    Call it with what its task reads: a log-mel spectrogram for vocoding, a degraded waveform for enhancement. A
    generator of the generation task makes clips by :meth:`sample`.

    Args:
        generator: the network alone, in its representation's domain.
        representation: brings what it makes to samples, with the statistics it was trained with.
        recipe: that it was trained with.
        step: of its checkpoint.
        source: the checkpoint's folder.
        history: the data it was trained on, as :mod:`gansemble.data.trained_on` keeps them.
        grown: whether it had its full size at that step.

    Example::

        vocoder = gansemble.load("exp/v1")
        audio = vocoder(log_mel)  # [B, mels, L] -> [B, 1, L * hop]
    """

    generator: nn.Module
    representation: Representation
    recipe: Recipe
    step: int
    source: Path
    history: History = field(default=())
    grown: bool = True

    @property
    def spec(self) -> AudioSpec:
        """The audio specification that it was trained with."""
        return self.recipe.audio

    @property
    def task(self) -> Task:
        """What it makes, of what."""
        return self.recipe.task

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return device_of(self.generator)

    @torch.no_grad()
    def __call__(self, signal: Tensor) -> Tensor:
        """The waveform of a conditioning signal.

        Args:
            signal: log-mel spectrograms [B, mels, L] or [mels, L] for vocoding, waveforms [B, C, T] or [C, T] for
                enhancement; on any device.

        Returns:
            Samples [B, C, T], or [C, T] where the signal had no batch, on the generator's device.

        Raises:
            GansembleError: if the generator makes clips of its own, or the signal is not what it reads.
        """
        if self.task is Task.GENERATION:
            raise GansembleError(f"{self.source}: the generator reads no signal; make clips with sample(count)")
        if signal.dim() not in (2, 3) or (self.task is Task.VOCODING and signal.shape[-2] != self.spec.mels):
            wanted = f"[B, {self.spec.mels}, L]" if self.task is Task.VOCODING else "[B, C, T]"
            raise GansembleError(f"{self.source}: expected a signal {wanted}, got shape {list(signal.shape)}")
        batch = signal if signal.dim() == 3 else signal[None]
        made = self._made(batch.to(self.device))
        return made if signal.dim() == 3 else made[0]

    def _made(self, batch: Tensor) -> Tensor:
        if self.task is Task.VOCODING:
            return self.decode(self.generator(Condition(signal=batch)).float())
        channels = batch.reshape(-1, 1, batch.shape[-1])  # each by itself, as in training
        made = self.decode(self.generator(Condition(signal=channels)).float())
        return made[..., : batch.shape[-1]].reshape(batch.shape)

    def decode(self, x: Tensor) -> Tensor:
        """What the generator made [B, ...] as samples [B, C, T]."""
        return self.representation.decode(x)

    def sampler(self, seed: int = 0) -> LatentSampler:
        """Makes clips of latent vectors drawn from a seed.

        Raises:
            GansembleError: if the generator reads a signal.
        """
        self.recipe.demand_task(Task.GENERATION, self.source)
        contract = self.recipe.generator_contract
        low, high = contract.pitches or (0, -1)
        classes = contract.classes or high - low + 1 or None
        return LatentSampler(self.generator, self.representation, ConditionBuilder(self.recipe), seed, classes)

    def sample(self, count: int, seed: int = 0, label: int | None = None) -> Tensor:
        """Clips [count, T] of latent vectors drawn from a seed, on the CPU.

        Args:
            count: how many.
            seed: of the draws; clip i of a seed is the same whatever the count.
            label: class or pitch index of all, for generators that read one; None draws it.
        """
        sampler = self.sampler(seed)
        return torch.stack([torch.from_numpy(sampler.one(index, label).audio) for index in range(count)])


def load(
    exp: str | Path,
    which: str = "best",
    device: str | torch.device | None = None,
    warn: Warn | None = None,
) -> TrainedGenerator:
    """The generator of an experiment: its average where it has one, of the best or the last sound checkpoint.

    Args:
        exp: the experiment's folder.
        which: ``best`` by the validation score, or ``last``.
        device: None takes the GPU where there is one.
        warn: told about damaged checkpoints that were passed over, and networks that had not their full size yet.

    Raises:
        CheckpointError: if the experiment has no sound checkpoint, or it lacks statistics of its representation.
        GansembleError: if there is no such folder.
    """
    if not Path(exp).is_dir():
        raise GansembleError(f"{exp}: no such folder; expected an experiment")
    saved = _saved(Path(exp), which, warn)
    recipe = check.load(saved.folder / "recipe.yaml")
    network = generator(recipe)
    network.load_state_dict(saved.network("ema" if saved.has("ema.safetensors") else "generator"))
    kept = saved.state("state")["parts"].get("representation") if saved.has("state.pt") else None
    representation = _representation(recipe, kept, saved.folder)
    place = default_device() if device is None else torch.device(device)
    ready = fold(network).eval().requires_grad_(False).to(place)
    if isinstance(representation, nn.Module):
        representation.to(place)
    grown = grow([ready, representation], recipe, saved.step)
    if not grown and warn is not None:
        warn(f"{saved.folder}: the networks were not grown yet at step {saved.step}, so resolutions are missing")
    history = saved.manifest.get("data") or ()
    return TrainedGenerator(ready, representation, recipe, saved.step, saved.folder, history, grown)


def _saved(exp: Path, which: str, warn: Warn | None) -> checkpoint.Saved:
    store = checkpoint.Store(exp / "checkpoints")
    saved = store.newest(warn)
    if saved is None:
        raise CheckpointError(
            f"{exp}: expected an experiment with checkpoints, found none; train it first (run.sh --stage train)"
        )
    if which == "best":
        for name in saved.manifest.get("best", {}):
            if (store.folder / name).is_dir():
                return checkpoint.verify(store.folder / name)
    return saved


def _representation(recipe: Recipe, state: dict[str, object] | None, source: Path) -> Representation:
    """The recipe's representation with the statistics it was trained with."""
    if "representation" not in recipe.single:
        return Waveform()
    made = construct(recipe.single["representation"], recipe)
    if state is not None:
        made.load_state_dict(state)
    elif isinstance(made, Fitted) and not made.fitted:
        raise CheckpointError(f"{source}: holds no statistics of its representation; train it again")
    return made


def fold(network: nn.Module) -> nn.Module:
    """Replaces every weight norm by the weight it computes; the output is unchanged and synthesis faster."""
    for module in network.modules():
        for name in list(getattr(module, "parametrizations", {})):
            parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    return network


def grow(parts: Sequence[object], recipe: Recipe, step: int) -> bool:
    """Brings growable parts to where they were at the last of so many steps; whether that is where they end."""
    schedule = TrainingSchedule(recipe.plan, 1)
    progress = schedule.progress(max(0, step - 1))
    for part in parts:
        if progress is not None and isinstance(part, Growable):
            part.set_progress(progress)
    return schedule.grown(max(0, step - 1))
