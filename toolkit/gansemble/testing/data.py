"""What every representation, metric, corpus and optimiser must do."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gansemble.audio import files
from gansemble.data.manifest import SPLITS, Clip
from gansemble.errors import DataError
from gansemble.interfaces import Fitted, Score
from gansemble.testing.subject import Fault, Subject, demand


def fitted(subject: Subject) -> Any:
    """The representation, its statistics measured on a few tones where it has any."""
    part = subject.make()
    if isinstance(part, Fitted) and not part.fitted:
        part.fit(iter([subject.audio(2), subject.audio(4)[2:]]))
        demand(part.fitted, "after fit, it must say fitted = True")
    return part


def representation_keeps_its_state(subject: Subject) -> None:
    """What it measured, saved and loaded into another, encodes the same."""
    part, audio = fitted(subject), subject.audio()
    if not hasattr(part, "state_dict"):
        demand(not isinstance(part, Fitted), "it is fitted, but has no state_dict for checkpoints")
        return
    other = subject.make(1)
    other.load_state_dict(part.state_dict())
    demand(getattr(other, "fitted", True), "loaded from a fitted state, it must say fitted = True")
    demand(torch.equal(part.encode(audio), other.encode(audio)), "restored from its state dict it encodes otherwise")


def encodes_what_its_contract_says(subject: Subject) -> None:
    """A domain, the contract's own, and the contract's shape, finite and float32."""
    part = fitted(subject)
    domain = getattr(part, "domain", None)
    demand(isinstance(domain, str), 'it has no domain; say domain = "…", the name of what encode gives')
    declared = subject.contract.domain
    demand(declared in (None, domain), f"its contract says domain {declared!r}, the part {domain!r}")
    x = part.encode(subject.audio())
    demand(x.dtype == torch.float32, f"expected float32, got {x.dtype}")
    demand(x.shape[0] == 2, f"expected the batch's 2 items first, got {list(x.shape)}")
    demand(bool(torch.isfinite(x).all()), "what it encodes is not finite")
    wanted = subject.contract.shape
    if wanted is not None:
        fits = len(wanted) == x.dim() - 1
        fits = fits and all(size in (None, have) for size, have in zip(wanted, x.shape[1:], strict=True))
        demand(fits, f"its contract says {list(wanted)} behind the batch, encode gives {list(x.shape[1:])}")


def decodes_to_audio(subject: Subject) -> None:
    """Audio of the shape it was, whose spectrum is nearer to the original's than silence is."""
    part, audio = fitted(subject), subject.audio()
    made = part.decode(part.encode(audio))
    demand(made.shape == audio.shape, f"decode of encode should give {list(audio.shape)}, got {list(made.shape)}")
    demand(bool(torch.isfinite(made).all()), "what it decodes is not finite")
    ours, theirs = (_magnitudes(each) for each in (made, audio))
    error = float((ours - theirs).norm() / theirs.norm())
    demand(error < 0.9, f"decoded, its spectrum is {error:.2f} of the original's away from it; silence is 1.00 away")


def _magnitudes(audio: Tensor) -> Tensor:
    window = torch.hann_window(1024)
    return torch.stft(audio[:, 0].float(), 1024, 256, window=window, return_complex=True).abs()


def representation_takes_silence(subject: Subject) -> None:
    """Silence and full scale are encoded and decoded to something finite."""
    part = fitted(subject)
    for name, audio in (
        ("silence", torch.zeros(2, 1, subject.segment)),
        ("full scale", torch.ones(2, 1, subject.segment)),
    ):
        x = part.encode(audio)
        demand(bool(torch.isfinite(x).all()), f"encoded {name} is not finite")
        demand(bool(torch.isfinite(part.decode(x)).all()), f"decoded {name} is not finite")


def representation_keeps_items_apart(subject: Subject) -> None:
    """An item is encoded the same alone as in a batch, and the same twice."""
    part, audio = fitted(subject), subject.audio()
    both = part.encode(audio)
    demand(torch.equal(both, part.encode(audio)), "two calls of encode differ")
    demand(
        torch.allclose(both[:1], part.encode(audio[:1]), atol=1e-5),
        "an item is encoded otherwise alone than in a batch",
    )


def representation_leaves_its_inputs_alone(subject: Subject) -> None:
    """Neither encode nor decode writes into what it is given."""
    part, audio = fitted(subject), subject.audio()
    before = audio.clone()
    x = part.encode(audio)
    demand(torch.equal(audio, before), "encode writes into the audio")
    kept = x.clone()
    part.decode(x)
    demand(torch.equal(x, kept), "decode writes into what it decodes")


def _tone(subject: Subject, seconds: float = 2.0) -> np.ndarray:
    return subject.audio(1, int(seconds * subject.spec.sample_rate))[0, 0].numpy().astype(np.float32)


def _score(subject: Subject, metric: Any, estimate: np.ndarray, reference: np.ndarray) -> dict[str, Score]:
    try:
        found = metric.score(estimate, reference, subject.spec.sample_rate)
    except Exception as error:
        raise Fault(f"score raises {type(error).__name__}: {error}; give NaN with a reason instead") from error
    demand(bool(found), "score gives no score")
    for key, score in found.items():
        demand(isinstance(score, Score), f"{key}: expected Score, got {type(score).__name__}")
        value = float(score.value)
        demand(not math.isinf(value), f"{key}: is infinite; give NaN with a reason, or limit it")
        demand(not math.isnan(value) or bool(score.reason), f"{key}: is NaN without a reason")
    return dict(found)


def scores_better_what_is_better(subject: Subject) -> None:
    """It says its definition and which way is better, and a perfect estimate scores no worse than a noisy one."""
    metric, reference = subject.make(), _tone(subject)
    definition, better = getattr(metric, "definition", ""), getattr(metric, "better", None)
    demand(isinstance(definition, str) and len(definition) > 0, "it has no definition: the exact variant, as text")
    demand(better in ("higher", "lower"), f'better must be "higher" or "lower", got {better!r}')
    noise = np.random.default_rng(0).standard_normal(len(reference)).astype(np.float32)
    perfect = _score(subject, metric, reference.copy(), reference)
    noisy = _score(subject, metric, reference + 0.3 * noise, reference)
    demand(set(perfect) == set(noisy), f"its keys change from file to file: {sorted(perfect)} and {sorted(noisy)}")
    sign = 1 if better == "higher" else -1
    for key in perfect:
        one, other = perfect[key].value, noisy[key].value
        wrong = not math.isnan(one) and not math.isnan(other) and sign * one < sign * other
        demand(
            not wrong, f"{key}: {better} is better, but a perfect estimate scores {one:.4g} and a noisy one {other:.4g}"
        )
        demand(not math.isnan(other), f"{key}: a noisy tone has no score ({noisy[key].reason})")


def gives_a_reason_for_no_score(subject: Subject) -> None:
    """Silence, nothing at all, and audio that is not finite give a number or NaN with a reason, never an error."""
    metric, tone = subject.make(), _tone(subject)
    empty, silence = np.zeros(0, np.float32), np.zeros_like(tone)
    broken = tone.copy()
    broken[100] = np.nan
    keys = set(_score(subject, metric, tone, tone))
    for estimate, reference in (
        (silence, tone),
        (tone, silence),
        (silence, silence),
        (empty, empty),
        (tone[:100], tone[:100]),
        (broken, tone),
        (tone, broken),
    ):
        found = _score(subject, metric, estimate, reference)
        demand(set(found) == keys, f"its keys change from file to file: {sorted(keys)} and {sorted(found)}")
    for key, score in _score(subject, metric, broken, tone).items():
        demand(math.isnan(score.value), f"{key}: an estimate that is not finite scores {score.value:.4g}")


def metric_repeats_itself(subject: Subject) -> None:
    """The same files get the same score, whatever was scored between them, and are not written to."""
    metric, reference = subject.make(), _tone(subject)
    estimate = (reference * 0.8).astype(np.float32)
    kept = estimate.copy(), reference.copy()
    first = _score(subject, metric, estimate, reference)
    _score(subject, metric, reference[::-1].copy(), reference)
    second = _score(subject, metric, estimate, reference)
    for key in first:
        same = first[key].value == second[key].value or math.isnan(first[key].value)
        demand(same, f"{key}: scored again, {first[key].value:.6g} becomes {second[key].value:.6g}")
    same = np.array_equal(estimate, kept[0]) and np.array_equal(reference, kept[1])
    demand(same, "it writes into the audio it scores")


@contextmanager
def _mini(subject: Subject) -> Iterator[tuple[Any, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        corpus, root = subject.make(), Path(folder) / "corpus"
        corpus.mini(root)
        yield corpus, root


def lists_sound_clips(subject: Subject) -> None:
    """The mini corpus' clips have unique plain ids, files that exist, and train and validation splits."""
    with _mini(subject) as (corpus, root):
        clips = list(corpus.scan(root))
        demand(len(clips) > 0, "scan finds nothing in its own mini corpus")
        wrong = [type(clip).__name__ for clip in clips if not isinstance(clip, Clip)]
        demand(not wrong, f"scan must give gansemble.data.manifest.Clip, got {wrong[:1]}")
        ids = [clip.id for clip in clips]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        demand(not twice, f"ids must be unique, but {', '.join(twice[:3])} comes again")
        odd = [name for name in ids if "/" in name or "\\" in name or name in ("", ".", "..")]
        demand(not odd, f"ids must be file names without separators, got {odd[:3]}")
        lost = [clip.path for clip in clips if not (root / clip.path).is_file()]
        demand(not lost, f"paths must be relative to the folder and exist, got {lost[:3]}")
        splits = {clip.split for clip in clips}
        demand(splits <= set(SPLITS), f"splits must be of {', '.join(SPLITS)}, got {sorted(splits)}")
        demand(
            {"train", "validation"} <= splits, f"the mini corpus needs train and validation clips, got {sorted(splits)}"
        )


def scans_without_opening_audio(subject: Subject) -> None:
    """Listing reads names and lists, not audio; twice, it lists the same in the same order."""
    with _mini(subject) as (corpus, root):
        first = list(corpus.scan(root))
        demand(first == list(corpus.scan(root)), "two scans differ")
        for clip in first:
            (root / clip.path).write_bytes(b"")
        try:
            again = list(corpus.scan(root))
        except Exception as error:
            raise Fault(f"scan opens the audio: with empty files it raises {type(error).__name__}: {error}") from error
        demand(again == first, "scan opens the audio: with empty files it lists something else")


def makes_the_same_mini_corpus_twice(subject: Subject) -> None:
    """Offline, readable, at a rate its contract allows, and the same bytes each time."""
    marks = []
    for _ in range(2):
        with _mini(subject) as (corpus, root):
            digest = hashlib.sha256()
            for clip in corpus.scan(root):
                info = files.info(root / clip.path)
                demand(info.frames > 0, f"{clip.path} of the mini corpus is empty")
                rates = subject.contract.sample_rates
                demand(
                    rates is None or info.sample_rate in rates,
                    f"its contract says {sorted(rates or ())} Hz, {clip.path} has {info.sample_rate}",
                )
                digest.update((root / clip.path).read_bytes())
            marks.append(digest.hexdigest())
    demand(marks[0] == marks[1], "the mini corpus differs from one time to the next; seed what it draws")


def gives_the_labels_its_contract_says(subject: Subject) -> None:
    """Labels of 0 to classes - 1 and pitches within range, on every clip, where the contract gives them."""
    contract = subject.contract
    with _mini(subject) as (corpus, root):
        for clip in corpus.scan(root):
            if "labels" in contract.gives:
                label = clip.labels.get("label")
                demand(isinstance(label, int), f"{clip.id}: its contract gives labels, but this clip's is {label!r}")
                demand(
                    contract.classes is None or 0 <= label < contract.classes,
                    f"{clip.id}: label {label} is not in 0..{(contract.classes or 0) - 1}",
                )  # type: ignore[operator]
            if "pitch" in contract.gives:
                pitch = clip.labels.get("pitch")
                low, high = contract.pitches or (0, 127)
                demand(
                    isinstance(pitch, int) and low <= pitch <= high,
                    f"{clip.id}: pitch {pitch!r} is not in {low}..{high}",
                )


def refuses_a_folder_that_is_not_its_own(subject: Subject) -> None:
    """A missing or foreign folder is a DataError that names it, not another exception and not an empty list."""
    with tempfile.TemporaryDirectory() as folder:
        foreign = Path(folder) / "foreign"
        foreign.mkdir()
        (foreign / "notes.txt").write_text("nothing here")
        for root in (Path(folder) / "missing", foreign):
            try:
                found = list(subject.make().scan(root))
            except DataError as error:
                demand(root.name in str(error), f"the error does not name the folder: {error}")
            except Exception as error:
                raise Fault(
                    f"a {root.name} folder raises {type(error).__name__} ({error}), expected DataError"
                ) from error
            else:
                raise Fault(f"a {root.name} folder gives {len(found)} clips, expected DataError")


def _learn(optimiser: torch.optim.Optimizer, weights: Sequence[Tensor], steps: int) -> None:
    for _ in range(steps):
        optimiser.zero_grad()
        sum((weight**2).sum() + weight.sum() for weight in weights).backward()  # type: ignore[union-attr]
        optimiser.step()


def _weights() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.linspace(0.5, 2.0, size)) for size in (3, 4)]


def _optimiser(subject: Subject, weights: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    made = subject.target(parameters=weights, **subject.example)
    demand(isinstance(made, torch.optim.Optimizer), f"expected a torch.optim.Optimizer, got {type(made).__name__}")
    return made


def takes_parameters(subject: Subject) -> None:
    """Its first parameter is ``parameters``, and it has a learning rate to schedule."""
    demand(next(iter(subject.signature), "") == "parameters", "its first parameter must be called parameters")
    groups = _optimiser(subject, _weights()).param_groups
    demand(all(isinstance(group.get("lr"), float) for group in groups), "its parameter groups have no lr to schedule")


def goes_downhill(subject: Subject) -> None:
    """Twenty steps lower the sum of squares, and every parameter moves."""
    weights = _weights()
    before = [weight.detach().clone() for weight in weights]
    _learn(_optimiser(subject, weights), weights, 20)
    stuck = [index for index, weight in enumerate(weights) if torch.equal(weight, before[index])]
    demand(not stuck, f"parameters {stuck} do not move")
    loss = [float(sum((w**2).sum() + w.sum() for w in each)) for each in (before, weights)]
    demand(loss[1] < loss[0], f"twenty steps raise the loss from {loss[0]:.4g} to {loss[1]:.4g}")


def goes_on_exactly(subject: Subject) -> None:
    """Three steps, a saved and restored state, and two more steps are five steps, bit for bit."""
    straight, halted = _weights(), _weights()
    _learn(_optimiser(subject, straight), straight, 5)
    first = _optimiser(subject, halted)
    _learn(first, halted, 3)
    resumed = [torch.nn.Parameter(weight.detach().clone()) for weight in halted]
    second = _optimiser(subject, resumed)
    second.load_state_dict(first.state_dict())
    _learn(second, resumed, 2)
    same = all(torch.equal(a, b) for a, b in zip(straight, resumed, strict=True))
    demand(same, "going on from its state dict gives other weights; keep everything it needs in state_dict")


def survives_a_zero_gradient(subject: Subject) -> None:
    """A gradient of zero, and none at all, leave the weights finite."""
    weights = _weights()
    optimiser = _optimiser(subject, weights)
    weights[0].grad = torch.zeros_like(weights[0])
    optimiser.step()
    demand(
        all(bool(torch.isfinite(weight).all()) for weight in weights),
        "a gradient of zero makes weights that are not finite",
    )


def follows_its_rate(subject: Subject) -> None:
    """A learning rate set from outside is the one it uses: at zero nothing moves."""
    weights = _weights()
    optimiser = _optimiser(subject, weights)
    for group in optimiser.param_groups:
        group["lr"] = 0.0
    before = [weight.detach().clone() for weight in weights]
    _learn(optimiser, weights, 2)
    same = all(torch.equal(a, b) for a, b in zip(weights, before, strict=True))
    demand(same, "at a learning rate of zero weights move; read lr from param_groups at each step")


Checks = tuple[Callable[[Subject], None], ...]
REPRESENTATION: Checks = (
    encodes_what_its_contract_says,
    decodes_to_audio,
    representation_takes_silence,
    representation_keeps_items_apart,
    representation_leaves_its_inputs_alone,
    representation_keeps_its_state,
)
METRIC: Checks = (scores_better_what_is_better, gives_a_reason_for_no_score, metric_repeats_itself)
CORPUS: Checks = (
    lists_sound_clips,
    scans_without_opening_audio,
    makes_the_same_mini_corpus_twice,
    gives_the_labels_its_contract_says,
    refuses_a_folder_that_is_not_its_own,
)
OPTIMISER: Checks = (takes_parameters, goes_downhill, goes_on_exactly, survives_a_zero_gradient, follows_its_rate)
