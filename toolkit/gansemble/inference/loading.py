"""Loads a trained generator from its experiment, ready for use."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gansemble.abilities import Fitted, Growable
from gansemble.audio.spec import AudioSpec
from gansemble.contract import DEGRADED
from gansemble.data.labels import Labels
from gansemble.data.mel_scale import MelStatistics
from gansemble.data.trained_on import History
from gansemble.errors import CheckpointError, GansembleError, near
from gansemble.files import sha256
from gansemble.interfaces import Condition, Representation
from gansemble.parts import weights
from gansemble.parts.build import Waveform, generator
from gansemble.parts.conditioning import ConditionBuilder
from gansemble.parts.device import default_device, device_of
from gansemble.parts.sampling import LatentSampler
from gansemble.recipe import check
from gansemble.recipe.construct import construct
from gansemble.recipe.document import RecipeError
from gansemble.recipe.schema import Recipe
from gansemble.recipe.task import NO_SIGNALS, Task, listed
from gansemble.training import checkpoint
from gansemble.training.schedule import TrainingSchedule

Warn = Callable[[str], None]


@dataclass
class TrainedGenerator:
    """A trained generator ready for use: weight normalisation removed, in eval mode, without gradients.

    Call it with what its task reads: a log-mel spectrogram for vocoding, a degraded waveform for enhancement. A
    generator of the generation task makes clips by :meth:`sample`.

    Args:
        generator: the network alone, whose output is in its representation's domain.
        representation: decodes that to audio, with the statistics it was trained with.
        recipe: that it was trained with.
        step: training steps of its checkpoint.
        source: the checkpoint's folder.
        history: the data it was trained on, as :mod:`gansemble.data.trained_on` keeps them.
        grown: whether a growing network had its full size at that step.
        names: of the classes that its labels stand for; empty where labels are numbers.
        mel: statistics of the mel spectrograms that it learnt from; None where they are not known.

    Example::

        vocoder = gansemble.load("exp/v1")
        audio = vocoder(log_mel)  # [B, M, L] of M mel bands and L frames -> [B, 1, L * hop]
    """

    generator: nn.Module
    representation: Representation
    recipe: Recipe
    step: int
    source: Path
    history: History = field(default=())
    grown: bool = True
    names: Sequence[str] = ()
    mel: MelStatistics | None = None

    @property
    def spec(self) -> AudioSpec:
        """The audio specification that the generator was trained with."""
        return self.recipe.audio

    @property
    def task(self) -> Task:
        """The task of the recipe: vocoding, enhancement or generation."""
        return self.recipe.task

    @property
    def identity(self) -> str:
        """A hash of the checkpoint's weights and recipe, wherever the experiment lies."""
        return sha256(self.source / "manifest.json")

    @property
    def device(self) -> torch.device:
        """The device that the generator's weights are on."""
        return device_of(self.generator)

    @torch.no_grad()
    def __call__(self, signal: Tensor, *, label: int | str | Tensor | None = None, **signals: Tensor) -> Tensor:
        """Makes the waveform of a mel spectrogram, or restores a degraded waveform.

        Args:
            signal: :attr:`main_signal`: log-mel spectrograms, or codes, for vocoding, waveforms for enhancement; on any device.
            label: for a generator that reads one: the name, number or pitch of all items, or their indices.
            signals: what the generator reads besides, by name, such as ``f0=…``.

        Shape:
            - log-mel spectrograms: [B, M, L] or [M, L], M mel bands and L frames
            - waveforms: [B, C, T] or [C, T], C channels of T samples, each restored by itself
            - label: [B]
            - other signals: [B, C, L] or [C, L], with the frames of the mel spectrogram; [B, C, 1] or [C, 1] of embeddings
            - output: [B, 1, L * hop] or [B, C, T], without B where the input has none; on the generator's device

        Raises:
            GansembleError: if the generator makes clips of its own, the signal has not the shape that it reads, or a signal
                or label is missing or is none that it reads.
        """
        if self.task is Task.GENERATION:
            raise GansembleError(f"{self.source}: the generator reads no signal; make clips with sample(count)")
        main = self.main_signal
        channels = self.spec.mels if main == "mel" else self.recipe.generator_contract.channels.get(main)
        if signal.dim() not in (2, 3) or (self.task is Task.VOCODING and channels not in (None, signal.shape[-2])):
            wanted = f"[B, {channels or 'C'}, L]" if self.task is Task.VOCODING else "[B, C, T]"
            raise GansembleError(f"{self.source}: expected a signal {wanted}, got shape {list(signal.shape)}")
        self.demand_read({main, *signals}, label is not None)
        given = {
            name: (x if x.dim() == 3 else x[None]).to(self.device) for name, x in {main: signal, **signals}.items()
        }
        for name in self.recipe.data.embeddings.keys() & given.keys():
            if given[name].shape[-1] == 1:  # one vector for the whole item
                given[name] = given[name].expand(-1, -1, signal.shape[-1])
        odd = [
            name for name, x in given.items() if x.shape[0] != len(given[main]) or x.shape[-1] != given[main].shape[-1]
        ]
        if odd:
            raise GansembleError(
                f"{self.source}: {odd[0]} must have the items and frames of {main}, {list(given[main].shape)}, got "
                f"{list(given[odd[0]].shape)}"
            )
        index = label if label is None or isinstance(label, Tensor) else self.label(label)
        labels = None if index is None else torch.as_tensor(index, device=self.device).expand(len(given[main]))
        made = self._made(given, labels)
        return made if signal.dim() == 3 else made[0]

    @property
    def main_signal(self) -> str:
        """Name of the signal that is called with first: the mel spectrogram or the degraded waveform, where it is read; else
        the first by name of those with a value for each frame, such as codes."""
        if self.task is Task.ENHANCEMENT:
            return DEGRADED
        reads = set(self.recipe.generator_contract.reads or ()) - NO_SIGNALS
        framed = sorted(reads - self.recipe.data.embeddings.keys())
        return "mel" if "mel" in reads or not framed else framed[0]

    def demand_read(self, signals: Set[str], labelled: bool) -> None:
        """Holds what a caller has for the generator against what it reads.

        Args:
            signals: names of the signals that there are.
            labelled: whether there is a label.

        Raises:
            GansembleError: if something is missing, or there is something that it does not read.
        """
        reads = set(self.recipe.generator_contract.reads or ()) - {"latent"}
        there = set(signals) | ({"label"} if labelled else set())
        use = self.recipe.single["generator"].use
        if reads - there:
            raise GansembleError(
                f"{self.source}: generator {use} reads {listed(reads)}; {listed(reads - there)} is missing"
            )
        if there - reads:
            raise GansembleError(
                f"{self.source}: generator {use} reads {listed(reads)}, and no {listed(there - reads)}"
            )

    def _made(self, given: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        if self.task is Task.VOCODING:
            return self.decode(self.generator(Condition(None, labels, given)).float())
        batch = given[DEGRADED]
        channels = batch.reshape(-1, 1, batch.shape[-1])  # each by itself, as in training
        labels = None if labels is None else labels.repeat_interleave(batch.shape[1])
        made = self.decode(self.generator(Condition(None, labels, {DEGRADED: channels})).float())
        return made[..., : batch.shape[-1]].reshape(batch.shape)

    @property
    def labels(self) -> Labels:
        """Reads the label index of a clip, as the generator learnt what indices mean, whatever other data are there now."""
        return replace(Labels.of(self.recipe), names=tuple(self.names) or None)

    def label(self, given: int | str) -> int:
        """The index of a class by its name, the index itself, or that of a pitch [MIDI number] where the generator is built
        for a range of them.

        Raises:
            GansembleError: if the generator reads no label, or it is none that it was built for.
        """
        contract, use = self.recipe.generator_contract, self.recipe.single["generator"].use
        if "label" not in (contract.reads or ()):
            raise GansembleError(f"{self.source}: generator {use} reads no label; leave it out")
        if isinstance(given, str):
            if given in self.names:
                return self.names.index(given)
            if not given.isdecimal():
                known = (
                    f"classes: {', '.join(self.names)}" if self.names else "its classes have no names; give a number"
                )
                raise GansembleError(f"{self.source}: no class {given!r}{near(given, self.names)}; {known}")
            given = int(given)
        low, high = contract.pitches or (0, (contract.classes or 0) - 1)
        unbounded = contract.pitches is None and contract.classes is None
        if given < low or (given > high and not unbounded):
            built = "at least 0" if unbounded else f"within {low}..{high}, what generator {use} was built for"
            raise GansembleError(f"{self.source}: label {given}: must be {built}")
        return given - low

    def decode(self, x: Tensor) -> Tensor:
        """Decodes the generator's output [B, ...] to audio [B, C, T]."""
        return self.representation.decode(x)

    def sampler(self, seed: int = 0) -> LatentSampler:
        """A sampler of the generator's own clips, whose random draws depend on the seed.

        Raises:
            GansembleError: if the generator reads a signal.
        """
        self.recipe.demand_task(Task.GENERATION, self.source)
        contract = self.recipe.generator_contract
        low, high = contract.pitches or (0, -1)
        classes = contract.classes or high - low + 1 or None
        return LatentSampler(self.generator, self.representation, ConditionBuilder(self.recipe), seed, classes)

    def sample(self, count: int, seed: int = 0, label: int | None = None) -> Tensor:
        """Makes clips from random latent vectors.

        Args:
            count: number of clips.
            seed: of the draws; clip i of a seed is the same whatever the count.
            label: class or pitch index of all clips; needed by a generator that reads labels, unused by others.

        Returns:
            Audio [count, T] of T samples each, on the CPU.

        Raises:
            GansembleError: if the generator reads a signal.
            ValueError: from a generator that reads labels, if none is given.
        """
        sampler = self.sampler(seed)
        return torch.stack([torch.from_numpy(sampler.one(index, label).audio) for index in range(count)])


def load(
    exp: str | Path,
    which: str = "best",
    device: str | torch.device | None = None,
    warn: Warn | None = None,
) -> TrainedGenerator:
    """Loads the generator of an experiment: the moving average of its weights where there is one.

    Args:
        exp: the experiment's folder.
        which: ``best`` for the checkpoint with the best validation score, ``last`` for the newest undamaged one.
        device: where to put it; None takes the GPU where there is one.
        warn: called with a message about damaged checkpoints that were passed over, and about networks that had not
            grown to their full size.

    Raises:
        CheckpointError: if the experiment has no undamaged checkpoint, its weights are not finite or not the generator's, or
            it lacks statistics of its representation.
        GansembleError: if there is no such folder.
        RecipeError: if the checkpoint's recipe does not fit the installed toolkit and plugins.
    """
    if not Path(exp).is_dir():
        raise GansembleError(f"{exp}: no such folder; expected an experiment")
    saved = _saved(Path(exp), which, warn)
    recipe = _recipe(saved.folder / "recipe.yaml")
    network = generator(recipe)
    name = "ema" if saved.has("ema.safetensors") else "generator"
    weights.load(network, saved.network(name), str(saved.folder / f"{name}.safetensors"))
    kept = saved.parts().get("representation") if saved.has("state.pt") else None
    representation = _representation(recipe, kept, saved.folder)
    place = default_device() if device is None else torch.device(device)
    ready = fold(network).eval().requires_grad_(False).to(place)
    if isinstance(representation, nn.Module):
        representation.to(place)
    grown = grow([ready, representation], recipe, saved.step)
    if not grown and warn is not None:
        warn(f"{saved.folder}: the networks were not grown yet at step {saved.step}, so resolutions are missing")
    history = saved.manifest.get("data") or ()
    names = saved.manifest.get("classes") or ()
    return TrainedGenerator(
        ready, representation, recipe, saved.step, saved.folder, history, grown, names, saved.manifest.get("mel")
    )


def _recipe(path: Path) -> Recipe:
    """A checkpoint's recipe.

    Raises:
        CheckpointError: if the file holds no recipe.
        RecipeError: if it does not fit the installed toolkit and plugins.
    """
    try:
        return check.load(path, files=False)  # those of losses may be elsewhere by now
    except RecipeError as error:
        if str(path) in str(error):
            raise
        raise CheckpointError(f"{path}: {error}") from error


def _saved(exp: Path, which: str, warn: Warn | None) -> checkpoint.Saved:
    store = checkpoint.Store(exp / "checkpoints")
    saved = store.newest(warn)
    if saved is None:
        raise CheckpointError(
            f"{exp}: expected an experiment with checkpoints, found none; train it first (run.sh --stage train)"
        )
    if which == "best":
        for name in saved.manifest.get("best", {}):
            if name == saved.folder.name:  # whose files have just been read and hashed
                return saved
            if (store.folder / name).is_dir():
                return checkpoint.verify(store.folder / name)
    return saved


def _representation(recipe: Recipe, state: dict[str, object] | None, source: Path) -> Representation:
    """The recipe's representation with the statistics it was trained with.

    Raises:
        CheckpointError: if it needs statistics and the checkpoint holds none.
    """
    if "representation" not in recipe.single:
        return Waveform()
    made = construct(recipe.single["representation"], recipe)
    if state is not None:
        weights.restore(made, state, f"{source / 'state.pt'}: the representation's statistics")
    elif isinstance(made, Fitted) and not made.fitted:
        raise CheckpointError(f"{source}: holds no statistics of its representation; train it again")
    return made


def fold(network: nn.Module) -> nn.Module:
    """Replaces every weight normalisation (or other parametrisation) by the weight that it computes.

    The output is unchanged, and synthesis is faster. The network is changed in place, and returned.
    """
    for module in network.modules():
        for name in list(getattr(module, "parametrizations", {})):
            parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    return network


def grow(parts: Sequence[object], recipe: Recipe, step: int) -> bool:
    """Brings growing networks to the size that they had after ``step`` training steps.

    Args:
        parts: networks and representation; those that do not grow are left alone.
        recipe: whose plan says how they grow.
        step: number of steps done.

    Returns:
        Whether that is their final size.
    """
    schedule = TrainingSchedule(recipe.plan, 1)  # growth does not depend on the number of clips
    progress = schedule.progress(max(0, step - 1))
    for part in parts:
        if progress is not None and isinstance(part, Growable):
            part.set_progress(progress)
    return schedule.grown(max(0, step - 1))
