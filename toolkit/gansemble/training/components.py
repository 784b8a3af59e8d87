"""What a training run is made of, built from a recipe: networks with their optimisers, losses, data and checkpoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from gansemble.bundle import layout
from gansemble.data.given import GivenSignals
from gansemble.data.labels import Labels, prior
from gansemble.data.pack_cache import PackCache
from gansemble.data.packed import Packed
from gansemble.errors import TrainingError
from gansemble.parts.build import Parts, build, compared
from gansemble.parts.optimisers import optimisers
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import Plan
from gansemble.scoring.fitting import fit, fit_items
from gansemble.training import checkpoint, demands, initialisation, teacher
from gansemble.training.adaptation import Adaptation
from gansemble.training.ema import Ema
from gansemble.training.network_optimiser import NetworkOptimiser
from gansemble.training.processes import Processes
from gansemble.training.step import TrainingStep
from gansemble.training.teacher import Teacher
from gansemble.training.validation import Validator


@dataclass(frozen=True)
class Options:
    """Settings of one call of training that are not in the recipe.

    Args:
        allow_change: go on from a checkpoint even if the recipe or the data have changed since.
        force_unlock: take the experiment's lock from an owner on another machine that gives no sign of life for 75 s.
        processes: number of processes the launcher was told to start; a run with another number is refused.
        stop_after: stop, as if interrupted, after this many steps of this call.
        again: what the user is told to do to go on after an interruption.
        anew: build a run that begins, though the folder has checkpoints: they are going to be set aside.
    """

    allow_change: bool = False
    force_unlock: bool = False
    processes: int | None = None
    stop_after: int | None = None
    again: str = "run the same command to go on"
    anew: bool = False


@dataclass
class Components:
    """What one training run is made of; :class:`gansemble.training.trainer.Trainer` runs it.

    Args:
        recipe: checked.
        exp: the experiment's folder, where checkpoints and logs go.
        options: of this call.
        processes: those that train together.
        clips: the packed clips of the training split.
        labels: reads a clip's label.
        parts: the recipe's parts, on the device.
        networks: ``generator`` and ``discriminators``, each with its optimisers.
        ema: moving average of the generator's weights, where the recipe has one.
        step: takes one training step over both networks.
        adaptation: feeds the parts that follow a statistic of training.
        validator: scores the generator on the validation split.
        store: the experiment's checkpoints.
        origin: where the first weights are from; None for random ones, and for a run that goes on.
        teacher: the trained generator that terms compare fakes with; None without one.
    """

    recipe: Recipe
    exp: Path
    options: Options
    processes: Processes
    clips: Packed
    labels: Labels
    parts: Parts
    networks: dict[str, NetworkOptimiser]
    ema: Ema | None
    step: TrainingStep
    adaptation: Adaptation
    validator: Validator
    store: checkpoint.Store = field(repr=False)
    origin: initialisation.Origin | None = None
    teacher: Teacher | None = None

    @classmethod
    def build(cls, recipe: Recipe, exp: Path, data: Path, options: Options | None = None) -> Components:
        """Builds the components of a checked recipe on packed data.

        Weights are initialised from the plan's seed. Parts with statistics of the training split, such as a
        representation's scale, measure them, or load what was measured before.

        Args:
            recipe: checked.
            exp: the experiment's folder.
            data: folder of the packed data, with ``manifest.jsonl``.
            options: of this call.

        Raises:
            TrainingError: if the data have another sample rate, the number of processes is not the one asked for,
                batches cannot be divided among processes and micro-batches, or a part cannot use the data.
            DataError: if packed data are missing, or are not what their manifest says.
        """
        options = options or Options()
        layout.demand_experiment(exp, "training")
        plan, processes = recipe.plan, Processes(options.processes)
        _torch_settings(plan.deterministic)
        clips = Packed(data, "train", recipe.data.normalise, cache=PackCache.of(recipe))
        _demand_packed(clips, recipe)
        demands.batches(plan, len(clips), processes.world)
        labels = Labels.of(recipe, clips.manifest)
        demands.labels(recipe, clips, labels)
        store = checkpoint.Store(exp / "checkpoints", plan.keep)
        begins = options.anew or not store.folders()
        source = initialisation.source(recipe, exp, labels.names) if begins else None
        taught = teacher.load(recipe, exp, processes.device, labels.names, anew=begins)
        parts = build(recipe, processes.device)
        parts.condition_builder.prior = prior(clips, labels)
        origin = initialisation.load_networks(recipe, source, parts)
        initialisation.freeze(recipe, parts)
        if origin is None or not {"state.pt", "state.json"} & origin["files"].keys():
            fit(parts.representation, recipe, data)
        if taught is not None:
            taught.demand_statistics(parts.representation)
        found = fit_items(compared(recipe, parts), parts.representation, recipe, data)
        parts.marks |= {path: place.name for path, place in found.items()}
        networks = _networks(recipe, parts, processes)
        ema = Ema(parts.generator, plan.ema, plan.ema_from) if plan.ema is not None else None
        initialisation.load_training(recipe, source, networks, ema)
        sides, teaching = (networks["generator"], networks["discriminators"]), taught.teaching if taught else None
        step = TrainingStep(parts, *sides, plan, processes.device, processes, len(clips), teaching)
        adaptation = Adaptation(parts.adaptive(), processes.total)
        validator = Validator(recipe, parts, data, processes.rank, processes.world, clips.manifest)
        validator.fit_metrics()
        made = (parts, networks, ema, step, adaptation, validator, store)
        return cls(recipe, exp, options, processes, clips, labels, *made, origin, taught)

    @property
    def plan(self) -> Plan:
        """The recipe's training plan."""
        return self.recipe.plan

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.processes.device

    @property
    def generator(self) -> nn.Module:
        """The generator to validate and synthesise with: the average of its weights, where the recipe has one."""
        return self.ema.shadow if self.ema else self.parts.generator

    @property
    def splits(self) -> set[str]:
        """Names of the data splits that the run reads."""
        return {self.clips.split, self.validator.packed.split}


def _networks(recipe: Recipe, parts: Parts, processes: Processes) -> dict[str, NetworkOptimiser]:
    chosen = optimisers(recipe, parts)
    bare = {"generator": parts.generator, "discriminators": parts.discriminators}
    return {
        name: NetworkOptimiser(network, processes.wrap(network), chosen[name], recipe.plan)
        for name, network in bare.items()
    }


def _demand_packed(clips: Packed, recipe: Recipe) -> None:
    """Refuses packed data of another sample rate, or without the signals that files are to give."""
    demands.given(recipe, clips, GivenSignals.of_recipe(recipe).names)
    rate = clips.entries[0].sample_rate
    if rate != recipe.audio.sample_rate:
        raise TrainingError(
            f"{clips.folder}: packed at {rate} Hz, the recipe says {recipe.audio.sample_rate} Hz; prepare again with --force"
        )


def _torch_settings(deterministic: bool) -> None:
    if deterministic:
        torch.use_deterministic_algorithms(True)
    if torch.cuda.is_available():
        torch.backends.cudnn.benchmark = not deterministic
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
