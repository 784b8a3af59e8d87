"""The promises of representations, metrics and optimisers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from gansemble.abilities import Fitted, Growable, HasDomain, ReferenceFree
from gansemble.interfaces import Metric, Representation, Score
from gansemble.plugins.signatures import lacking
from gansemble.recipe.optimiser_keys import TAKEN
from gansemble.testing.networks import demand_growth
from gansemble.testing.sets import SET_METRIC, of_pairs, said
from gansemble.testing.subject import Fault, Subject, demand, demand_no_device_of_its_own, on_meta, saved, state_of


def fitted(subject: Subject) -> Representation:
    """The representation; one with statistics of the training split is fitted to a few tones.

    Raises:
        Fault: if it cannot be fitted as the toolkit would.
    """
    part = subject.make()
    missing = lacking(part, Fitted)
    demand(
        "fit" in missing or not missing,
        f"it has fit() but no {', '.join(missing)}: the toolkit would never fit it",
    )
    if isinstance(part, Fitted) and not part.fitted:
        part.fit(iter([subject.audio(2), subject.audio(4)[2:]]))
        demand(part.fitted, "after fit, it must say fitted = True")
    return part


def representation_keeps_its_state(subject: Subject) -> None:
    """Another object that loads its saved state encodes the same."""
    part, audio = fitted(subject), subject.audio()
    remembers = state_of(part)
    if remembers is None:
        return
    other = subject.make(1)
    other.load_state_dict(saved(remembers.state_dict()))
    demand(not isinstance(other, Fitted) or other.fitted, "loaded from a fitted state, it must say fitted = True")
    demand(torch.equal(part.encode(audio), other.encode(audio)), "restored from its state dict it encodes otherwise")


def encodes_what_its_contract_says(subject: Subject) -> None:
    """It declares its domain, and encodes audio as finite float32 [B, ...] of the contract's domain and shape."""
    part = fitted(subject)
    domain = part.domain if isinstance(part, HasDomain) else None
    demand(isinstance(domain, str), 'it has no domain; say domain = "…", the name of what encode gives')
    declared = subject.items.domain
    demand(declared in (None, domain), f"its contract says domain {declared!r}, the part {domain!r}")
    x = part.encode(subject.audio())
    demand(x.dtype == torch.float32, f"expected float32, got {x.dtype}")
    demand(x.shape[0] == 2, f"expected the batch's 2 items first, got {list(x.shape)}")
    demand(bool(torch.isfinite(x).all()), "what it encodes is not finite")
    wanted = subject.items.shape
    if wanted is not None:
        fits = len(wanted) == x.dim() - 1
        fits = fits and all(size in (None, have) for size, have in zip(wanted, x.shape[1:], strict=True))
        demand(fits, f"its contract says {list(wanted)} behind the batch, encode gives {list(x.shape[1:])}")


def representation_grows_as_it_says(subject: Subject) -> None:
    """If it grows, its contract says by ``grows_to`` where, and there it encodes as a newly built one does."""
    most = demand_growth(subject)
    if most is None:
        return
    part, audio = fitted(subject), subject.audio()
    new = part.encode(audio)
    assert isinstance(part, Growable)  # as its contract says
    for progress in (0.0, float(most)):
        part.set_progress(progress)
    grown = part.encode(audio)
    same = new.shape == grown.shape and torch.equal(new, grown)
    demand(same, f"at progress {most:g}, where its contract says it is grown, it encodes otherwise than newly made")


def decodes_to_audio(subject: Subject) -> None:
    """Encoded and decoded, audio keeps its shape, is finite, and is nearer in spectrum to the original than silence."""
    part, audio = fitted(subject), subject.audio()
    made = part.decode(part.encode(audio))
    demand(made.shape == audio.shape, f"decode of encode should give {list(audio.shape)}, got {list(made.shape)}")
    demand(bool(torch.isfinite(made).all()), "what it decodes is not finite")
    ours, theirs = (_magnitudes(each) for each in (made, audio))
    error = float((ours - theirs).norm() / theirs.norm())
    demand(error < 0.9, f"decoded, its spectrum is {error:.2f} of the original's away from it; silence is 1.00 away")


def decodes_in_time(subject: Subject) -> None:
    """Encoded and decoded, sound stays in time: the centre of a burst's energy moves by less than half a hop."""
    part, audio = fitted(subject), subject.audio()
    places = torch.arange(audio.shape[-1], dtype=torch.float64)
    burst = torch.where((places - subject.segment / 2).abs() < subject.segment / 8, audio, 0.0)
    made = part.decode(part.encode(burst))
    demand(made.shape == burst.shape, f"decode of encode should give {list(burst.shape)}, got {list(made.shape)}")
    demand(bool(torch.isfinite(made).all()), "decoded, a burst with silence around it is not finite")
    # The centre of energy [samples]: the mean of the places, weighted by the squared samples.
    middles = [float((places * x[0, 0].double() ** 2).sum() / (x[0, 0].double() ** 2).sum()) for x in (burst, made)]
    late = middles[1] - middles[0]
    demand(
        abs(late) < subject.spec.hop / 2,
        f"decoded, a burst is {abs(late):.0f} samples {'late' if late > 0 else 'early'}; look at how frames are padded",
    )


def _magnitudes(audio: Tensor) -> Tensor:
    window = torch.hann_window(1024)
    return torch.stft(audio[:, 0].float(), 1024, 256, window=window, return_complex=True).abs()


def representation_takes_silence(subject: Subject) -> None:
    """Silence and full-scale audio are encoded and decoded to finite values."""
    part = fitted(subject)
    for name, audio in (
        ("silence", torch.zeros(2, 1, subject.segment)),
        ("full scale", torch.ones(2, 1, subject.segment)),
    ):
        x = part.encode(audio)
        demand(bool(torch.isfinite(x).all()), f"encoded {name} is not finite")
        demand(bool(torch.isfinite(part.decode(x)).all()), f"decoded {name} is not finite")


def representation_keeps_items_apart(subject: Subject) -> None:
    """An item is encoded and decoded the same alone as in a batch, and whatever was encoded in between."""
    part, audio = fitted(subject), subject.audio()
    both = part.encode(audio)
    demand(torch.equal(both, part.encode(audio)), "two calls of encode differ")
    demand(
        torch.allclose(both[:1], part.encode(audio[:1]), atol=1e-5),
        "an item is encoded otherwise alone than in a batch",
    )
    made = _decode(part, both)
    part.encode(audio[:1] * 0.1)
    demand(
        torch.allclose(made, _decode(part, both), atol=1e-5),
        "decode depends on what was encoded last; keep in x what it needs",
    )
    demand(
        torch.allclose(made[1:], _decode(part, both[1:]), atol=1e-4),
        "an item is decoded otherwise alone than in a batch",
    )


def _decode(part: Representation, x: Tensor) -> Tensor:
    """The decoded items under a fixed seed, as phases may start at random."""
    torch.manual_seed(0)
    return part.decode(x.clone())


def representation_works_on_other_devices(subject: Subject) -> None:
    """Tensors that it creates are on the device of the audio."""
    part, audio = on_meta(fitted(subject)), subject.audio().to("meta")
    demand_no_device_of_its_own(lambda: part.decode(part.encode(audio)))


def representation_leaves_its_inputs_alone(subject: Subject) -> None:
    """Neither ``encode`` nor ``decode`` writes into the tensor that it is given."""
    part, audio = fitted(subject), subject.audio()
    before = audio.clone()
    x = part.encode(audio)
    demand(torch.equal(audio, before), "encode writes into the audio")
    kept = x.clone()
    part.decode(x)
    demand(torch.equal(x, kept), "decode writes into what it decodes")


def _tone(subject: Subject, seconds: float = 2.0) -> np.ndarray:
    return subject.audio(1, int(seconds * subject.spec.sample_rate))[0, 0].numpy().astype(np.float32)


def _score(subject: Subject, metric: Metric, estimate: np.ndarray, reference: np.ndarray | None) -> dict[str, Score]:
    try:
        # Only a metric that says that it needs no reference is called without one.
        found = metric.score(estimate, reference, subject.spec.sample_rate)  # type: ignore[arg-type]
    except Exception as error:
        raise Fault(f"score raises {type(error).__name__}: {error}; give NaN with a reason instead") from error
    demand(bool(found), "score gives no score")
    for key, score in found.items():
        demand(isinstance(score, Score), f"{key}: expected Score, got {type(score).__name__}")
        value = float(score.value)
        demand(not math.isinf(value), f"{key}: is infinite; give NaN with a reason, or limit it")
        demand(not math.isnan(value) or bool(score.reason), f"{key}: is NaN without a reason")
    return dict(found)


@of_pairs
def scores_better_what_is_better(subject: Subject) -> None:
    """It has a definition and a direction, and a perfect estimate scores no worse than a noisy one.

    Each of its scores has a value for a tone with noise at one of three levels: 0.3, 0.03 or 0.003 of full scale. A metric
    that needs no reference scores a clip the same whatever the reference, None included.
    """
    metric, reference = subject.make(), _tone(subject)
    definition, better = said(metric)
    demand(isinstance(definition, str) and len(definition) > 0, "it has no definition: the exact variant, as text")
    demand(better in ("higher", "lower"), f'better must be "higher" or "lower", got {better!r}')
    noise = np.random.default_rng(0).standard_normal(len(reference)).astype(np.float32)
    if _needs_no_reference(metric):
        _demand_no_look(subject, metric, reference, noise)
        return
    perfect = _score(subject, metric, reference.copy(), reference)
    sign, silent = 1 if better == "higher" else -1, dict[str, str | None]()
    for level in (0.3, 0.03, 0.003):
        noisy = _score(subject, metric, reference + level * noise, reference)
        demand(set(perfect) == set(noisy), f"its keys change from file to file: {sorted(perfect)} and {sorted(noisy)}")
        for key in perfect:
            one, other = perfect[key].value, noisy[key].value
            wrong = not math.isnan(one) and not math.isnan(other) and sign * one < sign * other
            demand(
                not wrong,
                f"{key}: {better} is better, but a perfect estimate scores {one:.4g} and a noisy one {other:.4g}",
            )
        unheard = {key: score.reason for key, score in noisy.items() if math.isnan(score.value)}
        # Of much noise a score may have no value, such as a pitch that is not heard in it.
        silent = {key: why for key, why in unheard.items() if key in silent or level == 0.3}
        if not silent:
            break
    for key, why in silent.items():
        demand(False, f"{key}: a noisy tone has no score ({why})")


def _needs_no_reference(part: object) -> bool:
    return isinstance(part, ReferenceFree) and not part.needs_reference


def _demand_no_look(subject: Subject, metric: Metric, clip: np.ndarray, other: np.ndarray) -> None:
    """Raises a Fault if the scores of a clip depend on its reference, which the metric says that it does not need."""
    alone = _score(subject, metric, clip, None)
    for key, score in _score(subject, metric, clip, other).items():
        same = score.value == alone[key].value or math.isnan(score.value)
        demand(same, f"{key}: it says needs_reference = False, but scores otherwise without a reference")


@of_pairs
def gives_a_reason_for_no_score(subject: Subject) -> None:
    """For silent, empty, short or non-finite audio it gives a number or NaN with a reason, and never raises.

    It gives the same keys every time, and NaN for an estimate that is not finite.
    """
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


@of_pairs
def metric_repeats_itself(subject: Subject) -> None:
    """The same clips always get the same score, whatever was scored in between, and are not written to."""
    metric, reference = subject.make(), _tone(subject)
    estimate = (reference * 0.8).astype(np.float32)
    estimate[1000] = 1.5  # beyond full scale, for who limits in place
    kept = estimate.copy(), reference.copy()
    first = _score(subject, metric, estimate, reference)
    same = np.array_equal(estimate, kept[0]) and np.array_equal(reference, kept[1])
    demand(same, "it writes into the audio it scores; use x = x - y, not x -= y")
    _score(subject, metric, reference[::-1].copy(), reference)
    second = _score(subject, metric, estimate, reference)
    for key in first:
        same = first[key].value == second[key].value or math.isnan(first[key].value)
        demand(same, f"{key}: scored again, {first[key].value!r} becomes {second[key].value!r}; it remembers or draws")


def _learn(optimiser: torch.optim.Optimizer, weights: Sequence[Tensor], steps: int) -> None:
    for _ in range(steps):
        optimiser.zero_grad()
        sum((weight**2).sum() + weight.sum() for weight in weights).backward()  # type: ignore[union-attr]
        optimiser.step()


def _weights() -> list[torch.nn.Parameter]:
    """Two vectors, a matrix and the weight of a convolution, as networks have them."""
    shapes = ((3,), (4,), (3, 4), (4, 2, 3))
    return [torch.nn.Parameter(torch.linspace(0.5, 2.0, math.prod(shape)).view(shape)) for shape in shapes]


def _optimiser(subject: Subject, weights: list[torch.nn.Parameter], **other: object) -> torch.optim.Optimizer:
    names = ("generator.bias", "generator.gain", "generator.linear.weight", "generator.conv.weight")
    given = {"parameters": weights, "named_parameters": list(zip(names, weights, strict=True))}
    taken = {name: value for name, value in given.items() if name in subject.signature}
    made = subject.target(**(taken or {"parameters": weights}), **(subject.example | other))
    if not isinstance(made, torch.optim.Optimizer):
        raise Fault(f"expected a torch.optim.Optimizer, got {type(made).__name__}")
    return made


def takes_parameters(subject: Subject) -> None:
    """Its first argument is ``parameters``, or ``named_parameters`` for (name, parameter) pairs.

    Its parameter groups have an ``lr``, and that of one of them follows the argument ``lr``; others may have rates of their
    own.
    """
    first = next(iter(subject.signature), "")
    demand(first in TAKEN, "its first parameter must be called parameters, or named_parameters to be given names, too")
    groups = _optimiser(subject, _weights()).param_groups
    demand(all(isinstance(group.get("lr"), float) for group in groups), "its parameter groups have no lr to schedule")
    if "lr" in subject.signature:
        once, twice = (
            [group["lr"] for group in _optimiser(subject, _weights(), lr=rate).param_groups] for rate in (0.125, 0.25)
        )
        pairs = list(zip(once, twice, strict=True))
        demand(
            any(one > 0 and np.isclose(other, 2 * one) for one, other in pairs)
            and all(np.isclose(other, 2 * one) or one == other for one, other in pairs),
            f"built with lr 0.125 and with 0.25, its parameter groups have {once} and {twice}; hand lr on",
        )


def goes_downhill(subject: Subject) -> None:
    """Twenty steps lower a quadratic loss, and every parameter moves."""
    weights = _weights()
    before = [weight.detach().clone() for weight in weights]
    _learn(_optimiser(subject, weights), weights, 20)
    stuck = [index for index, weight in enumerate(weights) if torch.equal(weight, before[index])]
    demand(not stuck, f"parameters {stuck} do not move")
    loss = [float(sum((w**2).sum() + w.sum() for w in each)) for each in (before, weights)]
    demand(loss[1] < loss[0], f"twenty steps raise the loss from {loss[0]:.4g} to {loss[1]:.4g}")


def goes_on_exactly(subject: Subject) -> None:
    """Three steps, a saved and restored state, and two more steps equal five steps bit for bit."""
    straight, halted = _weights(), _weights()
    _learn(_optimiser(subject, straight), straight, 5)
    first = _optimiser(subject, halted)
    _learn(first, halted, 3)
    resumed = [torch.nn.Parameter(weight.detach().clone()) for weight in halted]
    second = _optimiser(subject, resumed)
    second.load_state_dict(saved(first.state_dict()))
    _learn(second, resumed, 2)
    same = all(torch.equal(a, b) for a, b in zip(straight, resumed, strict=True))
    demand(same, "going on from its state dict gives other weights; keep everything it needs in state_dict")


def survives_a_zero_gradient(subject: Subject) -> None:
    """The weights stay finite when gradients are zero, and when a parameter has none."""
    weights = _weights()
    optimiser = _optimiser(subject, weights)
    for weight in (weights[0], *weights[2:]):
        weight.grad = torch.zeros_like(weight)
    optimiser.step()
    demand(
        all(bool(torch.isfinite(weight).all()) for weight in weights),
        "a gradient of zero makes weights that are not finite",
    )


def follows_its_rate(subject: Subject) -> None:
    """It reads the learning rate from its parameter groups at every step: at a rate of zero no weight moves."""
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
    representation_grows_as_it_says,
    decodes_to_audio,
    decodes_in_time,
    representation_takes_silence,
    representation_keeps_items_apart,
    representation_leaves_its_inputs_alone,
    representation_keeps_its_state,
    representation_works_on_other_devices,
)
METRIC: Checks = (
    scores_better_what_is_better,
    gives_a_reason_for_no_score,
    metric_repeats_itself,
    *SET_METRIC,
)
OPTIMISER: Checks = (takes_parameters, goes_downhill, goes_on_exactly, survives_a_zero_gradient, follows_its_rate)
