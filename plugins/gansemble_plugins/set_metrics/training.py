"""Trains the classifier on a corpus' training clips, or loads the one that was trained on them before."""

from __future__ import annotations

import copy
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gansemble import random
from gansemble.data.labels import LabelledClips
from gansemble.errors import DataError
from gansemble.parts.device import default_device
from gansemble_plugins.set_metrics import pictures, store
from gansemble_plugins.set_metrics.classifier import Classifier
from gansemble_plugins.set_metrics.settings import ClassifierSettings

BATCH = 64
#: Looks at the validation clips during the steps allowed, and how many may pass without a better one.
LOOKS, PATIENCE = 20, 5
#: Raised whenever the same settings would learn something else.
VERSION = 1
Say = Callable[[str], None]
Network = Classifier | pictures.PictureClassifier


@dataclass
class Trained:
    """A trained classifier, and facts about it, such as its classes and its accuracy by split."""

    network: Network
    facts: dict[str, Any]

    @property
    def classes(self) -> list[int]:
        """The label of each logit, in their order."""
        return self.facts["classes"]


def trained(clips: Mapping[str, LabelledClips], settings: ClassifierSettings, folder: Path, say: Say) -> Trained:
    """The classifier of these clips and settings: loaded from ``folder``, or trained and saved there.

    Args:
        clips: of the corpus, by split.
        settings: of the classifier.
        folder: where classifiers are kept.
        say: takes lines for the user.

    Raises:
        DataError: if there are no training clips, a clip has no label, there are fewer than two classes, another split
            or the classifier in ``folder`` has other classes, the clips are not the pictures that the settings say, or
            the loss becomes infinite or NaN.
    """
    pictures.demand_fit(settings.picture, clips)
    labels = {split: labels_of(split, clips[split]) for split in clips}
    classes = _classes(labels)
    train = clips["train"]
    decides = {"version": VERSION, "settings": settings.identity(), "sample_rate": train.sample_rate}
    decides |= {"length": train.length, "clips": {split: manifest(clips[split], labels[split]) for split in clips}}

    def learn() -> store.Learnt:
        say(f"training a classifier of {len(classes)} classes on {len(train)} clips, {settings.steps} steps at most")
        return _train(clips, labels, classes, settings, say)

    tensors, facts = store.kept(folder, "classifier", decides, learn)
    if facts["classes"] != classes:
        raise DataError(
            f"{folder}/classifier-{facts['digest']}: knows the classes {facts['classes']}, the clips have {classes}; "
            "delete it"
        )
    network = _network(train, classes, settings)
    network.load_state_dict(tensors)
    return Trained(network.eval(), facts)


def manifest(clips: LabelledClips, labels: Sequence[int | None] = ()) -> str:
    """A hash of the content of clips and of their labels, in their order."""
    return store.digest({"clips": [clips.identity(), list(labels)]})


def labels_of(split: str, clips: LabelledClips) -> list[int]:
    """The label of every clip of a split.

    Raises:
        DataError: if a clip has none.
    """
    found = [clips.label(index) for index in range(len(clips))]
    without = [clips.name(index) for index, label in enumerate(found) if label is None]
    if without:
        raise DataError(
            f"{len(without)} of {len(found)} {split} clips have no label (first: {without[0]}), so no classifier can "
            "be trained on them; take a corpus with labels, or metrics that need none"
        )
    return [label for label in found if label is not None]


def _classes(labels: Mapping[str, Sequence[int]]) -> list[int]:
    """The labels of the training clips, sorted.

    Args:
        labels: of all clips, by split.

    Raises:
        DataError: if there are no training clips or fewer than two classes, or another split has other classes.
    """
    if "train" not in labels:
        raise DataError("there are no training clips to train a classifier on; change the corpus' split")
    classes = sorted(set(labels["train"]))
    if len(classes) < 2:
        raise DataError(f"a classifier needs clips of two classes or more, the training clips have {len(classes)}")
    for split, found in labels.items():
        other = sorted(set(found) - set(classes))
        if other:
            raise DataError(
                f"{split} clips have classes that no training clip has, which a classifier cannot know: "
                f"{', '.join(map(str, other[:5]))}; change the corpus' split"
            )
    return classes


def _network(clips: LabelledClips, classes: Sequence[int], settings: ClassifierSettings) -> Network:
    """A new classifier, with initial weights from the settings' seed; torch's global generator is left as it was."""
    sizes: dict[str, Any] = {"classes": len(classes), "sample_rate": clips.sample_rate}
    sizes |= {"width": settings.width, "blocks": settings.blocks}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random.key(settings.seed, "classifier"))
        if settings.picture is None:
            return Classifier(length=clips.length, **sizes)
        return pictures.PictureClassifier(shape=settings.picture, **sizes)


def device() -> torch.device:
    """The device that classifiers are trained and asked on."""
    return default_device()


def _train(
    clips: Mapping[str, LabelledClips],
    labels: Mapping[str, Sequence[int]],
    classes: Sequence[int],
    settings: ClassifierSettings,
    say: Say,
) -> store.Learnt:
    begun = time.monotonic()
    place = device()
    network = _network(clips["train"], classes, settings).to(place)
    makers = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    optimiser = makers[settings.optimiser](network.parameters(), lr=settings.lr)
    targets = {split: torch.tensor([classes.index(label) for label in found]) for split, found in labels.items()}
    best: tuple[float, float] | None = None
    state, at, since, step = copy.deepcopy(network.state_dict()), 0, 0, 0
    every = max(1, settings.steps // LOOKS)
    for step, chosen in enumerate(_batches(len(clips["train"]), settings), 1):
        for group in optimiser.param_groups:
            group["lr"] = settings.lr * (1 - (step - 1) / settings.steps)
        network.train()
        with torch.enable_grad():
            logits, _ = network(_audio(clips["train"], chosen, place))
            loss = F.cross_entropy(logits, targets["train"][chosen].to(place))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if step % every and step < settings.steps:
            continue
        value = loss.item()
        if not math.isfinite(value):
            raise DataError(f"the classifier's loss is {value} at step {step}; lower lr, which is {settings.lr:g}")
        if "validation" not in clips:
            state, at = copy.deepcopy(network.state_dict()), step
            continue
        found = _judged(network, clips["validation"], targets["validation"], place)
        since += 1
        if best is None or found > best:
            best, state, at, since = found, copy.deepcopy(network.state_dict()), step, 0
        say(f"  step {step}: {100 * found[0]:.1f} % of the validation clips, negative log-likelihood {-found[1]:.3f}")
        if since == PATIENCE:
            break
    network.load_state_dict(state)
    accuracy = {split: _judged(network, clips[split], targets[split], place)[0] for split in clips}
    told = ", ".join(f"{100 * value:.1f} % of {len(clips[split])} {split}" for split, value in accuracy.items())
    say(f"the classifier of step {at} knows {told} clips; {step} steps took {time.monotonic() - begun:.0f} s")
    facts: dict[str, Any] = {"classes": list(classes), "accuracy": accuracy, "n": {s: len(clips[s]) for s in clips}}
    facts |= {"n_by_class": {str(label): count for label, count in sorted(Counter(labels["train"]).items())}}
    facts |= {"step": at, "steps_taken": step, "batch": BATCH, "device": place.type, "torch": torch.__version__}
    return {name: value.cpu().contiguous() for name, value in network.state_dict().items()}, facts


def _batches(count: int, settings: ClassifierSettings) -> Iterator[Tensor]:
    """Yields the indices of each step's clips.

    In each epoch every clip comes at most once, in a new random order; clips that do not fill a mini-batch are left
    out.
    """
    size, taken = min(BATCH, count), 0
    for epoch in range(settings.steps):
        order = torch.randperm(count, generator=random.generator(settings.seed, "classifier", epoch))
        for start in range(0, count - size + 1, size):
            if taken == settings.steps:
                return
            taken += 1
            yield order[start : start + size]


def _audio(clips: LabelledClips, chosen: Sequence[int] | Tensor, place: torch.device) -> Tensor:
    """The audio [B, T] of the clips with these indices."""
    return torch.from_numpy(np.stack([clips.audio(int(index)) for index in chosen])).to(place)


@torch.no_grad()
def _judged(network: Network, clips: LabelledClips, targets: Tensor, place: torch.device) -> tuple[float, float]:
    """(share of clips whose class is right, mean log-likelihood of the right class)."""
    network.eval()
    right, likelihood = 0, 0.0
    for start in range(0, len(clips), BATCH):
        chosen = range(start, min(start + BATCH, len(clips)))
        logits = network(_audio(clips, chosen, place))[0].double().cpu()
        wanted = targets[start : start + BATCH]
        right += int((logits.argmax(1) == wanted).sum())
        likelihood -= float(F.cross_entropy(logits, wanted, reduction="sum"))
    return right / len(clips), likelihood / len(clips)
