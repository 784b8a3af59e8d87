"""Trained generators with networks that can be worked out by hand: what they are given, and what becomes of their output."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.signal
import soundfile
import torch
from torch import Tensor, nn

from gansemble.audio import files
from gansemble.audio.spec import AudioSpec
from gansemble.contract import GeneratorContract
from gansemble.data.labels import Labels
from gansemble.errors import CheckpointError, DataError, GansembleError
from gansemble.inference import enhancement, loading, phases, streaming, vocoding
from gansemble.inference.enhancement import EnhancedFile, EnhanceOptions, enhance, target_of
from gansemble.inference.generation import between
from gansemble.inference.keep_below import KeepBelow
from gansemble.inference.loading import TrainedGenerator, fold, grow
from gansemble.interfaces import Condition
from gansemble.parts.build import Waveform
from gansemble.recipe.sections import Data, Phase, Plan
from gansemble.recipe.task import Task

RATE = 8000
SPEC = AudioSpec(sample_rate=RATE, n_fft=256, hop=64, window=256, mels=20, fmax=None)


class Twice:
    """A representation whose items are half as loud as audio."""

    def decode(self, x: Tensor) -> Tensor:
        return 2 * x


class Noting(nn.Module):
    """A generator that notes what it is given; of a mel spectrogram it makes the first band, of audio the audio."""

    def __init__(self, context: int | None = 0, hop: int = 64, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(gain))
        self.context_frames, self.alignment, self.hop = context, 1, hop
        self.given: list[Condition] = []

    def forward(self, condition: Condition) -> Tensor:
        self.given.append(condition)
        if condition.signals is not None and "degraded" in condition.signals:
            return self.weight * condition.signals["degraded"]
        assert condition.signals is not None
        return self.weight * condition.signals["mel"][:, :1].repeat_interleave(self.hop, 2)


def recipe_of(task: Task = Task.VOCODING, plan: Plan | None = None, **contract: Any) -> Any:
    """A recipe of one generator, which reads what its contract says."""
    reads = {Task.VOCODING: {"mel"}, Task.ENHANCEMENT: {"degraded"}, Task.GENERATION: {"latent"}}[task]
    declared = GeneratorContract(reads=frozenset(contract.pop("reads", reads)), **contract)
    return SimpleNamespace(
        audio=SPEC,
        task=task,
        generator_contract=declared,
        single={"generator": SimpleNamespace(use="here")},
        many={"features": {}},
        parts=list,
        supplied=dict,
        data=Data(),
        given=frozenset,
        plan=plan,
        demand_task=lambda wanted, exp: None,
    )


def trained(
    network: nn.Module, task: Task = Task.VOCODING, representation: Any = None, **facts: Any
) -> TrainedGenerator:
    own = {name: facts.pop(name) for name in ("names", "source") if name in facts}
    source = own.pop("source", Path("exp"))
    return TrainedGenerator(network, representation or Waveform(), recipe_of(task, **facts), 7, source, **own)


# between latent vectors -------------------------------------------------


def test_uniform_vectors_are_joined_by_a_straight_line():
    way = between(torch.tensor([0.0, 4.0]), torch.tensor([8.0, -4.0]), 5, "uniform")
    assert torch.stack(way).tolist() == [[0, 4], [2, 2], [4, 0], [6, -2], [8, -4]]
    assert [each.tolist() for each in between(torch.tensor([1.0]), torch.tensor([2.0]), 1, "uniform")] == [[1.0]]


def test_normal_vectors_are_joined_by_a_great_circle():
    first, last = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 3.0])
    way = torch.stack(between(first, last, 4, "normal"))
    angles = torch.tensor([0.0, 30.0, 60.0, 90.0]).deg2rad()
    torch.testing.assert_close(way, 3 * torch.stack([angles.cos(), angles.sin()], 1), atol=1e-6, rtol=0)
    half = between(torch.tensor([1.0, 0.0]), torch.tensor([math.cos(0.8), math.sin(0.8)]), 3, "normal")[1]
    torch.testing.assert_close(half, torch.tensor([math.cos(0.4), math.sin(0.4)]), atol=1e-6, rtol=0)


def test_short_vectors_are_joined_by_their_angle_too():
    """Their length decides nothing, however small."""
    way = between(torch.tensor([1e-3, 0.0]), torch.tensor([0.0, 1e-3]), 3, "normal")
    torch.testing.assert_close(way[1], torch.tensor([1e-3, 1e-3]) / math.sqrt(2), atol=1e-9, rtol=0)


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_vectors_of_one_direction_are_joined_by_a_straight_line(factor):
    """There is no angle to divide by; also where rounding makes the cosine more than 1."""
    draws = torch.Generator().manual_seed(0)
    for _ in range(50):
        first = torch.randn(7, generator=draws)
        way = torch.stack(between(first, factor * first, 3, "normal"))
        wanted = first * torch.tensor([1.0, (1 + factor) / 2, factor])[:, None]
        torch.testing.assert_close(way, wanted, atol=1e-5, rtol=1e-5)


def test_opposite_vectors_make_numbers_all_the_same():
    draws = torch.Generator().manual_seed(0)
    for _ in range(50):
        first = torch.randn(7, generator=draws)
        assert torch.stack(between(first, -first, 3, "normal")).isfinite().all()


# keeping a band ---------------------------------------------------------


@pytest.mark.parametrize(
    ("hertz", "taken"), [(199.9, False), (200.0, True), (3000.0, True), (3800.0, True), (3800.1, False)]
)
def test_a_band_ends_200_hz_from_both_ends(hertz, taken):
    if taken:
        KeepBelow(Noting(), RATE, hertz)
        return
    with pytest.raises(ValueError, match=rf"between 200 Hz and 3800 Hz, got {hertz:g} Hz"):
        KeepBelow(Noting(), RATE, hertz)


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_the_low_pass_is_a_kaiser_window_of_90_db_and_200_hz(rate):
    taps = math.ceil((90 - 7.95) / (2.285 * math.pi * 400 / rate) + 1) // 2 * 2 + 1
    low = KeepBelow(Noting(), rate, 1000).low
    assert low.shape == (1, 1, taps) and float(low.sum()) == pytest.approx(1, abs=1e-5)
    _, response = scipy.signal.freqz(low[0, 0].numpy(), worN=[100, 900, 1000, 1100, rate / 2 - 100], fs=rate)
    assert np.abs(np.abs(response) - [1, 1, 0.5, 0, 0]).max() < 1e-3


def test_the_low_band_is_the_recordings_and_the_high_one_the_generators():
    """y = G(x) + LP(x - G(x)), of a G that is three times as loud and decoded to twice that."""
    kept = KeepBelow(Noting(gain=3.0), RATE, 1000, Twice())  # type: ignore[arg-type]
    x = torch.randn(2, 1, 900, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made = kept(Condition(signals={"degraded": x}))
    low = np.stack([np.convolve(each, kept.low[0, 0].numpy(), "same") for each in x[:, 0].numpy()])
    np.testing.assert_allclose(made[:, 0].numpy(), 6 * x[:, 0].numpy() - 5 * low, atol=1e-4)
    same = KeepBelow(Noting(), RATE, 1000)(Condition(signals={"degraded": x}))
    torch.testing.assert_close(same.detach(), x, atol=1e-6, rtol=0)
    assert "low" not in kept.state_dict()


class Longer(Noting):
    def forward(self, condition: Condition) -> Tensor:
        assert condition.signals is not None
        return nn.functional.pad(condition.signals["degraded"], (0, 5), value=9.0)


def test_what_a_generator_makes_beyond_the_recording_is_cut_off():
    x = torch.randn(1, 1, 300, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        KeepBelow(Longer(), RATE, 1000)(Condition(signals={"degraded": x})), x, atol=1e-6, rtol=0
    )
    torch.testing.assert_close(streaming.enhancement_stream(Longer(), Waveform(), 400).whole(x[0]), x[0])


@pytest.mark.parametrize(
    ("context", "unit", "wanted"), [(0, 1, 115), (56, 8, 176), (0, 115, 115), (0, 116, 116), (None, 1, None)]
)
def test_the_filter_adds_half_its_length_in_whole_chunks_to_the_context(context, unit, wanted):
    """It has 231 taps at 8 kHz."""
    network = Noting(context)
    network.alignment = unit
    kept = KeepBelow(network, RATE, 1000)
    assert (kept.context_frames, kept.alignment) == (wanted, unit)


# streams ----------------------------------------------------------------


def test_signals_are_stacked_and_taken_apart_by_name():
    """Whatever their order, each with its own rows; the label is a batch of one."""
    network = Noting(hop=2)
    signals = {"mel": torch.ones(3, 4), "f0": torch.full((1, 4), 5.0), "zz": torch.full((2, 4), 7.0)}
    stacked = streaming.stack(signals)
    assert stacked[:, 0].tolist() == [5, 1, 1, 1, 7, 7]
    channels = {"zz": 2, "mel": 3, "f0": 1}
    stream = streaming.vocoder_stream(network, Twice(), 4, channels, 6)  # type: ignore[arg-type]
    assert stream.whole(stacked).tolist() == [[2.0] * 8]
    (given,) = network.given
    assert given.latent is None and given.label is not None and given.label.tolist() == [6]
    assert {name: signal.shape[1:] for name, signal in given.signals.items()} == {
        "f0": (1, 4),
        "mel": (3, 4),
        "zz": (2, 4),
    }
    assert float(given.signals["f0"][0, 0, 0]) == 5.0 and float(given.signals["zz"][0, 1, 3]) == 7.0


def test_channels_are_restored_each_by_itself_and_with_one_label():
    network = Noting(hop=1)
    audio = torch.arange(12.0).reshape(3, 4)
    made = streaming.enhancement_stream(network, Twice(), 4, 5).whole(audio)  # type: ignore[arg-type]
    assert torch.equal(made, 2 * audio) and not made.requires_grad
    (given,) = network.given
    assert given.signals["degraded"].shape == (3, 1, 4) and given.label.tolist() == [5, 5, 5]
    streaming.enhancement_stream(network, Waveform(), 4).whole(audio)
    assert network.given[-1].label is None


@pytest.mark.parametrize("context", [0, 3, None])
def test_of_nothing_nothing_is_made(context):
    for blocks in ([], [torch.zeros(1, 0)] * 2):
        stream = streaming.ChunkedStream(lambda x: x, 4, context)
        assert sum(piece.shape[1] for piece in stream.pieces(iter(blocks))) == 0


def test_a_piece_is_given_as_soon_as_its_context_is_there():
    """Cores of 4 frames, of which each needs 2 more behind it."""
    asked = 0

    def blocks() -> Iterator[Tensor]:
        nonlocal asked
        for frame in range(11):
            asked += 1
            yield torch.full((1, 1), float(frame))

    stretches: list[list[float]] = []

    def make(stretch: Tensor) -> Tensor:
        stretches.append(stretch[0].tolist())
        return stretch

    found = [(asked, piece[0].tolist()) for piece in streaming.ChunkedStream(make, 4, 2).pieces(blocks())]
    assert found == [(6, [0, 1, 2, 3]), (10, [4, 5, 6, 7]), (11, [8, 9, 10])]
    assert stretches == [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 6, 7, 8, 9], [6, 7, 8, 9, 10]]


# calls from Python ------------------------------------------------------


def test_a_spectrogram_is_made_into_audio_with_or_without_a_batch():
    vocoder = trained(Noting(), representation=Twice())
    mel = torch.arange(2 * 20 * 3.0).reshape(2, 20, 3)
    made = vocoder(mel)
    assert torch.equal(made, 2 * mel[:, :1].repeat_interleave(64, 2)) and not made.requires_grad
    assert torch.equal(vocoder(mel[1]), made[1])
    assert (vocoder.spec, vocoder.task, vocoder.device) == (SPEC, Task.VOCODING, torch.device("cpu"))
    assert (vocoder.history, vocoder.grown, vocoder.names) == ((), True, ())


def test_audio_is_restored_channel_by_channel():
    network = Noting()
    restorer = trained(network, Task.ENHANCEMENT, Twice(), reads={"degraded", "label"}, classes=9)
    audio = torch.arange(24.0).reshape(2, 3, 4)
    assert torch.equal(restorer(audio, label=torch.tensor([7, 8])), 2 * audio)
    assert network.given[-1].signals["degraded"].shape == (6, 1, 4)
    assert network.given[-1].label.tolist() == [7, 7, 7, 8, 8, 8]
    assert torch.equal(restorer(audio[0], label=4), 2 * audio[0])
    assert network.given[-1].label.tolist() == [4, 4, 4]
    plain = trained(network, Task.ENHANCEMENT)
    assert torch.equal(plain(audio), audio) and network.given[-1].label is None


def test_restored_audio_is_as_long_as_what_was_given():
    audio = torch.arange(6.0).reshape(1, 2, 3)
    assert torch.equal(trained(Longer(), Task.ENHANCEMENT)(audio), audio)


def test_other_signals_go_with_the_spectrogram():
    network = Noting()
    vocoder = trained(network, reads={"mel", "f0"})
    mel, f0 = torch.ones(2, 20, 3), torch.ones(2, 1, 3)
    assert vocoder(mel, f0=f0).shape == (2, 1, 192)
    assert network.given[-1].signals["f0"].shape == (2, 1, 3)
    assert vocoder(mel[0], f0=f0[0]).shape == (1, 192)
    for odd in (f0[:1], f0[..., :2], torch.ones(3, 1, 3)):
        with pytest.raises(GansembleError, match=r"f0 must have the items and frames of mel, \[2, 20, 3\], got \["):
            vocoder(mel, f0=odd)


@pytest.mark.parametrize(("task", "wanted"), [(Task.VOCODING, r"\[B, 20, L\]"), (Task.ENHANCEMENT, r"\[B, C, T\]")])
@pytest.mark.parametrize("shape", [(20,), (1, 1, 20, 3)])
def test_a_signal_has_two_or_three_axes(task, wanted, shape):
    with pytest.raises(GansembleError, match=rf"exp: expected a signal {wanted}, got shape"):
        trained(Noting(), task)(torch.zeros(shape))


def test_a_spectrogram_has_the_bands_of_the_experiment_and_audio_any_channels():
    for bands in (19, 21):
        with pytest.raises(GansembleError, match=rf"expected a signal \[B, 20, L\], got shape \[1, {bands}, 3\]"):
            trained(Noting())(torch.zeros(1, bands, 3))
    assert trained(Noting(), Task.ENHANCEMENT)(torch.zeros(1, 7, 3)).shape == (1, 7, 3)
    with pytest.raises(GansembleError, match=r"the generator reads no signal; make clips with sample\(count\)"):
        trained(Noting(), Task.GENERATION)(torch.zeros(1, 20, 3))


def test_what_is_missing_or_not_read_is_named():
    vocoder = trained(Noting(), reads={"mel", "label", "f0", "latent"}, classes=2)
    vocoder.demand_read({"mel", "f0"}, True)
    with pytest.raises(GansembleError, match="exp: generator here reads f0, label, mel; f0, label is missing"):
        vocoder.demand_read({"mel"}, False)
    with pytest.raises(GansembleError, match="exp: generator here reads f0, label, mel, and no energy"):
        vocoder.demand_read({"mel", "f0", "energy"}, True)
    with pytest.raises(GansembleError, match="reads mel, and no label"):
        trained(Noting())(torch.zeros(20, 3), label=1)


@pytest.mark.parametrize(
    ("contract", "given", "index"),
    [
        ({"classes": 3}, 0, 0), ({"classes": 3}, 2, 2), ({"classes": 3}, "1", 1), ({"pitches": (24, 30)}, 24, 0),
        ({"pitches": (24, 30)}, 30, 6), ({"pitches": (24, 30)}, "25", 1), ({}, 1000, 1000), ({}, 0, 0),
    ],
)  # fmt: skip
def test_a_label_is_a_number_of_a_class_or_a_pitch(contract, given, index):
    assert trained(Noting(), reads={"mel", "label"}, **contract).label(given) == index


@pytest.mark.parametrize(
    ("contract", "given", "told"),
    [
        ({"classes": 3}, 3, "label 3: must be within 0..2, what generator here was built for"),
        ({"classes": 3}, -1, "label -1: must be within 0..2"),
        ({"pitches": (24, 30)}, 23, "label 23: must be within 24..30"),
        ({"pitches": (24, 30)}, 31, "label 31: must be within 24..30"),
        ({}, -1, "label -1: must be at least 0"),
        ({"classes": 3}, "x", "no class 'x'; its classes have no names; give a number"),
        ({"classes": 3}, "-1", "no class '-1'"),
    ],
)
def test_a_label_that_is_none_is_refused(contract, given, told):
    with pytest.raises(GansembleError, match=told):
        trained(Noting(), reads={"mel", "label"}, **contract).label(given)


def test_a_class_may_be_called_by_its_name():
    """A name that is a number is a name."""
    speaking = trained(Noting(), reads={"mel", "label"}, classes=3, names=("ann", "2", "bob"))
    assert [speaking.label(each) for each in ("ann", "2", "bob", "1", 2)] == [0, 1, 2, 1, 2]
    with pytest.raises(GansembleError, match=r"no class 'bo'.*bob.*classes: ann, 2, bob"):
        speaking.label("bo")
    with pytest.raises(GansembleError, match="generator here reads no label; leave it out"):
        trained(Noting(), names=("a",)).label("a")
    assert speaking.labels == Labels(None, "label", ("ann", "2", "bob"))
    assert trained(Noting()).labels == Labels(None, "label", None)


class Dreaming(nn.Module):
    """Makes of a latent vector its numbers and the label, as audio of one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, condition: Condition) -> Tensor:
        assert condition.latent is not None
        label = torch.zeros(len(condition.latent)) if condition.label is None else condition.label
        return torch.cat([condition.latent, label[:, None].float()], 1)[:, None]


def test_clips_follow_from_seed_place_and_label():
    dreaming = trained(Dreaming(), Task.GENERATION, Twice(), reads={"latent", "label"}, latent=3, classes=4)
    clips = dreaming.sample(3, seed=5, label=2)
    assert clips.shape == (3, 4) and clips[:, 3].tolist() == [4.0] * 3
    one = dreaming.sampler(5).one(1, 2)
    assert np.array_equal(clips[1].numpy(), one.audio) and np.allclose(one.audio[:3], 2 * one.latent)
    assert torch.equal(dreaming.sample(3, 0, 2), dreaming.sample(3, label=2))
    assert not torch.equal(dreaming.sample(3, 0, 2), clips)


@pytest.mark.parametrize(
    ("contract", "classes"),
    [
        ({"classes": 4}, 4),
        ({"pitches": (24, 30)}, 7),
        ({"pitches": (24, 24)}, 1),
        ({}, None),
        ({"classes": 9, "pitches": (1, 3)}, 9),
    ],
)
def test_labels_are_drawn_from_all_that_a_generator_was_built_for(contract, classes):
    sampler = trained(Dreaming(), Task.GENERATION, reads={"latent", "label"}, latent=3, **contract).sampler()
    assert (sampler.classes, sampler.seed) == (classes, 0)


# experiments ------------------------------------------------------------


class Folded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
        self.plain = nn.Linear(2, 2)


def test_parametrisations_are_replaced_by_their_weights_in_place():
    network = Folded()
    weight = network.inner.weight.detach().clone()
    assert fold(network) is network
    assert sorted(name for name, _ in network.named_parameters()) == [
        "inner.bias", "inner.weight", "plain.bias", "plain.weight",
    ]  # fmt: skip
    assert torch.equal(network.inner.weight, weight)


class Growing:
    def __init__(self) -> None:
        self.progress: list[float] = []

    def set_progress(self, progress: float) -> None:
        self.progress.append(progress)


@pytest.mark.parametrize(("step", "progress"), [(0, 0), (1, 0), (2, 1), (4, 3), (5, 4), (6, 4), (10, 4)])
def test_networks_are_as_large_as_in_their_last_step(step, progress):
    """Growth is from 0 to 4 in the first four steps."""
    plan = Plan(steps=10, phases=(Phase(steps=4, progress=(0.0, 4.0)), Phase(steps=6, progress=(4.0, 4.0))))
    parts = [Growing(), object(), Growing()]
    assert grow(parts, recipe_of(plan=plan), step) == (progress == 4)
    assert parts[0].progress == parts[2].progress == [progress]


def test_without_phases_nothing_grows():
    part = Growing()
    assert grow([part], recipe_of(plan=Plan(steps=10)), 3) and part.progress == []


def test_an_experiment_that_is_no_folder_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("gone", "file"):
        with pytest.raises(GansembleError, match=rf"{name}: (no such folder|is a file); expected an experiment"):
            loading.load(tmp_path / name)
    with pytest.raises(CheckpointError, match="expected an experiment with checkpoints, found none"):
        loading.load(tmp_path)


# files of signals -------------------------------------------------------


def saved(folder: Path, array: np.ndarray, name: str = "a.npy") -> Path:
    np.save(folder / name, array)
    return folder / name


def synthesised(vocoder: TrainedGenerator, source: Path, **options: Any) -> tuple[np.ndarray, dict[str, float]]:
    target = source.parent / "new" / "folder" / "out.wav"
    facts = vocoding.synthesise_file(vocoder, source, target, "float", options.pop("chunk", 0.0), **options)
    audio, rate = soundfile.read(target, dtype="float32")
    assert rate == RATE and [path.name for path in target.parent.iterdir()] == ["out.wav"]
    return audio, facts


def test_a_file_of_a_spectrogram_is_made_into_audio_within_full_scale(tmp_path):
    mel = np.zeros((20, 50), np.float32)
    mel[0] = np.linspace(-2, 2, 50)
    begun = time.monotonic()
    audio, facts = synthesised(trained(Noting(), representation=Twice()), saved(tmp_path, mel))
    assert np.array_equal(audio, np.clip(2 * mel[0], -1, 1).repeat(64))
    assert facts["clipped"] == 64 * int((np.abs(mel[0]) > 0.5).sum()) and facts["seconds"] == 50 * 64 / RATE
    assert 0 < facts["took"] <= time.monotonic() - begun


@pytest.mark.parametrize(("chunk", "frames"), [(0.0, 16), (0.128, 16), (0.136, 17), (0.2, 25), (10.0, 60)])
def test_chunks_have_the_length_that_is_asked_for_and_16_frames_at_least(tmp_path, chunk, frames):
    """125 frames are a second."""
    network = Noting()
    synthesised(trained(network), saved(tmp_path, np.zeros((20, 60))), chunk=chunk)
    assert len(network.given[0].signals["mel"][0, 0]) == frames


@pytest.mark.parametrize(
    ("value", "taken"), [(-11.5, True), (-12.5, True), (-12.6, False), (10.0, True), (10.1, False)]
)
def test_a_spectrogram_lies_between_its_floor_and_10(tmp_path, value, taken):
    """The floor is ln 1e-5 = -11.513; one more below it is taken for rounding."""
    mel = np.full((20, 20), -3, np.float32)
    mel[3, 3] = value
    vocoder, source = trained(Noting()), saved(tmp_path, mel)
    if taken:
        synthesised(vocoder, source)
    else:
        with pytest.raises(DataError, match=r"are not natural-log magnitudes, whose floor here is -11\.513"):
            synthesised(vocoder, source)


@pytest.mark.parametrize("shape", [(20, 1), (1, 20, 3)])
@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_a_spectrogram_may_have_an_axis_of_one_and_any_precision(tmp_path, shape, kind):
    audio, _ = synthesised(trained(Noting()), saved(tmp_path, np.full(shape, 0.25, kind)))
    assert np.array_equal(audio, np.full(64 * shape[-1], 0.25, np.float32))


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((20, 3), int), "expected floating-point numbers, got int64"),
        (np.zeros((20, 0)), "holds no frames"),
        (np.zeros((2, 20, 3)), r"got shape \(2, 20, 3\)"),
        (np.zeros((1, 1, 20, 3)), r"got shape \(1, 1, 20, 3\)"),
        (np.full((20, 2), np.inf), "holds NaN or Inf"),
    ],
)
def test_what_is_no_spectrogram_is_refused(tmp_path, array, told):
    with pytest.raises(DataError, match=told):
        synthesised(trained(Noting()), saved(tmp_path, array))


def test_signals_of_files_go_with_the_spectrogram_frame_by_frame(tmp_path):
    network = Noting()
    vocoder = trained(network, reads={"mel", "f0", "loud", "label"}, classes=5)
    source = saved(tmp_path, np.zeros((20, 40), np.float32))
    f0 = saved(tmp_path, np.arange(40), "f0.npy")
    loud = saved(tmp_path, np.arange(80.0).reshape(2, 40), "loud.npy")
    synthesised(vocoder, source, signals={"f0": f0, "loud": loud}, label=3)
    given = {name: torch.cat([each.signals[name][0] for each in network.given], 1) for name in ("mel", "f0", "loud")}
    assert given["mel"].shape == (20, 40) and len(network.given) == 3
    assert given["f0"].tolist() == [list(range(40))] and torch.equal(given["loud"], torch.arange(80.0).reshape(2, 40))
    assert all(each.label.tolist() == [3] for each in network.given) and given["f0"].dtype == torch.float32


@pytest.mark.parametrize(
    ("frames", "told"),
    [(39, r"has 40 frames or more, but the signal f0 39"), (41, "has 40 frames, but the signal f0 41")],
)
def test_signals_of_other_lengths_are_refused(tmp_path, frames, told):
    f0 = saved(tmp_path, np.zeros(frames), "f0.npy")
    with pytest.raises(DataError, match=told):
        synthesised(trained(Noting(), reads={"mel", "f0"}), saved(tmp_path, np.zeros((20, 40))), signals={"f0": f0})


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((2, 2, 3)), r"the signal f0 must be numbers \[C, L\] or \[L\], got float64 \[2, 2, 3\]"),
        (np.float64(3), r"got float64 \[\]"),
        (np.zeros(3, bool), r"got bool \[3\]"),
        (np.zeros(3, complex), r"got complex128 \[3\]"),
        (np.array([1.0, np.nan]), "the signal f0 holds NaN or infinity"),
    ],
)
def test_a_signal_that_is_none_is_refused(tmp_path, array, told):
    with pytest.raises(DataError, match=told):
        synthesised(
            trained(Noting(), reads={"mel", "f0"}),
            saved(tmp_path, np.zeros((20, 3))),
            signals={"f0": saved(tmp_path, array, "f0.npy")},
        )


def test_a_signal_whose_file_cannot_be_read_is_told_with_the_reason(tmp_path):
    (tmp_path / "text.npy").write_text("no numbers")
    source = saved(tmp_path, np.zeros((20, 3)))
    for name, reason in (("gone", "No such file or directory"), ("text", r"it is no \.npy file of numbers")):
        with pytest.raises(DataError, match=rf"{name}\.npy: cannot be read as the signal f0 \({reason}\)"):
            synthesised(trained(Noting(), reads={"mel", "f0"}), source, signals={"f0": tmp_path / f"{name}.npy"})
    with pytest.raises(DataError, match=r"a\.npy: exp: generator here reads f0, mel; f0 is missing"):
        synthesised(trained(Noting(), reads={"mel", "f0"}), source)


class Builder:
    """Computes of audio its first sample of each frame."""

    def __init__(self, spec: AudioSpec, features: Mapping[str, object] | None = None) -> None:
        self.spec, self.features = spec, features or {}
        self.given: list[tuple[int, int]] = []

    def computed(self, audio: Tensor) -> dict[str, Tensor]:
        self.given.append((round(float(audio[0, 0, 0]) * 32768), audio.shape[-1]))
        frames = audio.shape[-1] // self.spec.hop
        return {"first": audio[0, :, : frames * self.spec.hop : self.spec.hop][None]}


def counting(folder: Path, samples: int) -> Path:
    soundfile.write(folder / "c.wav", np.arange(samples, dtype=np.int16), RATE, subtype="PCM_16")
    return folder / "c.wav"


@pytest.mark.parametrize("block", [1, 5, 16, 100])
def test_blocks_have_four_hops_of_real_audio_around_them(tmp_path, block):
    """Twice the 96 samples that a window of 256 reaches beyond a hop of 64, and a hop."""
    builder, path = Builder(SPEC), counting(tmp_path, 40 * 64 + 17)
    blocks = list(vocoding.signal_blocks(path, builder, block))  # type: ignore[arg-type]
    firsts = torch.cat([each["first"][0] for each in blocks])
    assert (firsts * 32768).tolist() == [64.0 * frame for frame in range(40)]
    wanted = []
    for first in range(0, 40, block):
        begin, end = max(0, first - 4) * 64, min(40 * 64 + 17, (min(40, first + block) + 4) * 64)
        wanted.append((begin, end - begin))
    assert builder.given == wanted


def test_features_have_a_second_of_audio_around_them_in_whole_frames(tmp_path):
    builder, path = Builder(SPEC, {"f0": object()}), counting(tmp_path, 400 * 64 + 17)
    blocks = list(vocoding.signal_blocks(path, builder, 100))  # type: ignore[arg-type]
    assert [each["first"].shape[1] for each in blocks] == [100] * 4
    assert builder.given == [(0, 225 * 64), (0, 325 * 64), (75 * 64, 325 * 64), (175 * 64, 225 * 64)]


def test_a_file_of_another_rate_is_read_at_the_wanted_one(tmp_path):
    """In the same blocks as one that has it: 961 samples at 16 kHz are 481 at 8 kHz."""
    soundfile.write(tmp_path / "c.wav", np.zeros(961, np.int16), 2 * RATE, subtype="PCM_16")
    builder = Builder(SPEC)
    blocks = list(vocoding.signal_blocks(tmp_path / "c.wav", builder, 2, resample=True))  # type: ignore[arg-type]
    assert [each["first"].shape[1] for each in blocks] == [2, 2, 2, 1]
    assert [length for _, length in builder.given] == [6 * 64, 481, 481, 481 - 2 * 64]
    with pytest.raises(DataError, match=r"expected 8000 Hz, got 16000 Hz"):
        next(vocoding.signal_blocks(tmp_path / "c.wav", builder, 2))  # type: ignore[arg-type]


@pytest.mark.parametrize(("hop", "n_fft", "least"), [(64, 256, 97), (64, 320, 129), (200, 256, 201), (64, 64, 65)])
def test_a_file_needs_more_than_a_hop_and_a_margin(tmp_path, hop, n_fft, least):
    spec = AudioSpec(sample_rate=RATE, n_fft=n_fft, hop=hop, window=min(n_fft, 256), mels=20, fmax=None)
    for samples in (least - 1, least):
        blocks = vocoding.signal_blocks(counting(tmp_path, samples), Builder(spec), 10)  # type: ignore[arg-type]
        if samples == least:
            assert next(blocks)["first"].shape[1] == least // hop
        else:
            with pytest.raises(DataError, match=rf"{samples} samples are too few; at least {least} are needed"):
                next(blocks)


def test_a_file_that_fails_in_the_middle_leaves_nothing(tmp_path):
    class Failing(Noting):
        def forward(self, condition: Condition) -> Tensor:
            if self.given:
                raise KeyboardInterrupt
            return super().forward(condition)

    with pytest.raises(KeyboardInterrupt):
        synthesised(trained(Failing()), saved(tmp_path, np.zeros((20, 40))))
    assert list((tmp_path / "new/folder").iterdir()) == []


# restoring files --------------------------------------------------------


def restorer(network: nn.Module | None = None, representation: Any = None) -> TrainedGenerator:
    return trained(network or Noting(hop=1), Task.ENHANCEMENT, representation)


def recording(folder: Path, samples: np.ndarray, name: str = "a.wav", rate: int = RATE, **options: str) -> Path:
    soundfile.write(folder / name, samples, rate, **(options or {"subtype": "PCM_16"}))
    return folder / name


TONE = 0.4 * np.sin(2 * np.pi * 500 * np.arange(4000) / RATE)


def test_options_and_results_have_defaults():
    assert EnhanceOptions(5) == EnhanceOptions(5, False, None, None)
    assert EnhancedFile(Path("x"), 1.0, 2.0, 3, (4.0, 5.0)).note == ""


@pytest.mark.parametrize(("sample_format", "name"), [(None, "b.flac"), ("pcm16", "b.wav")])
def test_a_restored_file_keeps_its_kind_unless_a_format_is_wanted(sample_format, name):
    assert target_of(Path("in/a.flac"), Path("out"), "b", sample_format) == Path("out") / name


def test_a_file_is_restored_and_what_was_done_is_told(tmp_path):
    source = recording(tmp_path, np.stack([TONE, 0.5 * TONE], 1))
    seen: list[tuple[int, int]] = []
    begun = time.monotonic()
    target = tmp_path / "new" / "folder" / "b.wav"
    done = enhance(
        restorer(representation=Twice()), source, target, EnhanceOptions(1000), lambda *each: seen.append(each)
    )
    made, rate = soundfile.read(target)
    assert rate == RATE and np.abs(made - 2 * np.stack([TONE, 0.5 * TONE], 1)).max() < 2**-13
    assert (done.target, done.seconds, done.clipped, done.note) == (target, 0.5, 0, "")
    assert 0 < done.took <= time.monotonic() - begun and done.bandwidth[1] <= 4000.0
    assert seen == [(1000, 4000), (2000, 4000), (3000, 4000), (4000, 4000)]
    assert [path.name for path in target.parent.iterdir()] == ["b.wav"]


@pytest.mark.parametrize(
    ("sample_format", "clipped", "peak"), [("pcm16", 3, 1.0), ("pcm24", 3, 1.0), ("float", 0, 1.5)]
)
def test_only_whole_numbers_are_cut_off_at_full_scale(tmp_path, sample_format, clipped, peak):
    samples = np.zeros(100)
    samples[[3, 50, 60, 70]] = 0.75, -0.75, 0.6, 0.5
    source = recording(tmp_path, samples, subtype="FLOAT")
    wanted = EnhanceOptions(1000, sample_format=sample_format)
    done = enhance(restorer(representation=Twice()), source, tmp_path / "b.wav", wanted)
    made, _ = soundfile.read(tmp_path / "b.wav")
    assert done.clipped == clipped and np.abs(made).max() == pytest.approx(peak, abs=1e-3)
    assert soundfile.info(tmp_path / "b.wav").subtype == files.SUBTYPES[sample_format]


def test_a_file_of_floats_in_its_own_format_is_not_cut_off(tmp_path):
    for subtype in ("FLOAT", "DOUBLE"):
        source = recording(tmp_path, np.full(50, 0.75), subtype=subtype)
        done = enhance(restorer(representation=Twice()), source, tmp_path / "b.wav", EnhanceOptions(1000))
        assert done.clipped == 0 and soundfile.read(tmp_path / "b.wav")[0].max() == 1.5
        assert soundfile.info(tmp_path / "b.wav").subtype == subtype


@pytest.mark.parametrize(("rate", "samples", "total"), [(16000, 4001, 2001), (6000, 300, 400), (11025, 1000, 726)])
def test_another_rate_is_resampled_and_nothing_of_it_lost(tmp_path, rate, samples, total):
    tone = 0.4 * np.sin(2 * np.pi * 200 * np.arange(samples) / rate)
    source = recording(tmp_path, np.stack([tone, -tone], 1), rate=rate)
    done = enhance(restorer(), source, tmp_path / "b.wav", EnhanceOptions(500, resample=True))
    made, found = soundfile.read(tmp_path / "b.wav")
    assert (found, made.shape, done.note) == (RATE, (total, 2), f"resampled from {rate} Hz")
    wanted = 0.4 * np.sin(2 * np.pi * 200 * np.arange(total) / RATE)
    inner = slice(60, total - 60)
    assert np.abs(made[inner] - np.stack([wanted, -wanted], 1)[inner]).max() < 0.01


@pytest.mark.parametrize(("rate", "above"), [(16000, True), (4000, False)])
def test_another_rate_is_refused_with_what_would_be_lost(tmp_path, rate, above):
    with pytest.raises(DataError, match=f"is at {rate} Hz, the generator works at 8000 Hz; pass --resample") as caught:
        enhance(restorer(), recording(tmp_path, TONE, rate=rate), tmp_path / "b.wav", EnhanceOptions(500))
    assert ("leaves out all above 4000 Hz" in str(caught.value)) == above


def test_a_low_band_may_be_kept(tmp_path):
    both = TONE + 0.1 * np.sin(2 * np.pi * 3000 * np.arange(4000) / RATE)
    source = recording(tmp_path, both, subtype="FLOAT")
    enhance(restorer(representation=Twice()), source, tmp_path / "b.wav", EnhanceOptions(900, keep_below=1500.0))
    made = soundfile.read(tmp_path / "b.wav")[0][300:-300]
    high = (both - TONE)[300:-300]
    assert np.abs(made - (TONE[300:-300] + 2 * high)).max() < 1e-3


def test_a_long_file_is_read_and_written_in_blocks(tmp_path):
    samples = np.random.default_rng(0).integers(-9000, 9000, 2 * enhancement.BLOCK + 5).astype(np.int16)
    source = recording(tmp_path, samples)
    for core in (10**9, 50_000):
        enhance(restorer(), source, tmp_path / "b.wav", EnhanceOptions(core))
        assert np.array_equal(soundfile.read(tmp_path / "b.wav", dtype="int16")[0], samples)


def test_what_is_not_finite_is_named_by_its_time(tmp_path):
    class Late(Noting):
        def forward(self, condition: Condition) -> Tensor:
            made = super().forward(condition)
            return made / 0 if len(self.given) == 3 else made

    source = recording(tmp_path, TONE)
    with pytest.raises(DataError, match=r"a\.wav: the generator made NaN or Inf of it, near 0\.4 s"):
        enhance(restorer(Late(hop=1)), source, tmp_path / "out" / "b.wav", EnhanceOptions(1600))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_format_that_cannot_be_written_at_the_generators_rate_is_told(tmp_path):
    """Opus knows a few rates only."""
    if "OPUS" not in soundfile.available_subtypes("OGG"):
        pytest.skip("libsndfile without Opus")
    source = recording(tmp_path, TONE, "a.ogg", 48000, format="OGG", subtype="OPUS")
    loaded = restorer()
    loaded.recipe.audio = AudioSpec(sample_rate=11025, fmax=None)
    with pytest.raises(
        DataError, match=r"its format OGG OPUS cannot be written at 11025 Hz with 1 channels .*--format"
    ):
        enhance(loaded, source, tmp_path / "b.ogg", EnhanceOptions(500, resample=True))
    enhance(loaded, source, tmp_path / "b.wav", EnhanceOptions(500, resample=True, sample_format="pcm24"))
    assert soundfile.info(tmp_path / "b.wav").format == "WAV"


@pytest.mark.parametrize("kind", ["text", "folder"])
def test_what_cannot_be_read_or_is_in_the_way_is_told(tmp_path, kind):
    source, target = recording(tmp_path, TONE), tmp_path / "b.wav"
    if kind == "folder":
        target.mkdir()
        told = rf"b\.wav: is a folder, and {source} would be written there"
    else:
        source.write_text("no audio")
        told = r"a\.wav: not readable as audio .*; copy or download it again"
    with pytest.raises(DataError, match=told):
        enhance(restorer(), source, target, EnhanceOptions(500))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", *(["b.wav"] if kind == "folder" else [])]


def test_tags_go_with_the_file(tmp_path):
    with soundfile.SoundFile(tmp_path / "a.flac", "w", RATE, 1, "PCM_16", format="FLAC") as out:
        out.title, out.artist, out.comment = "Song", "Someone", "live"
        out.write(TONE)
    enhance(restorer(), tmp_path / "a.flac", tmp_path / "b.flac", EnhanceOptions(5000))
    with soundfile.SoundFile(tmp_path / "b.flac") as made:
        assert (made.title, made.artist, made.comment, made.album) == ("Song", "Someone", "live", "")


# phases -----------------------------------------------------------------


class Magnitudes:
    """A representation without phase: items are levels of samples."""

    phase = "a guess"

    def encode(self, audio: Tensor) -> Tensor:
        return audio.abs()

    def decode(self, x: Tensor) -> Tensor:
        return x

    def decode_with_phase(self, x: Tensor, audio: Tensor) -> Tensor:
        if x.shape[-1] != audio.shape[-1]:
            raise ValueError("another length")
        return x * audio

    def log_mel(self, x: Tensor, spec: AudioSpec) -> Tensor:
        return torch.full((len(x), spec.mels, 2), float(x.max()))


def test_the_phase_of_a_recording_is_that_of_each_sample(tmp_path):
    source = recording(tmp_path, np.array([0.5, -0.25, 0.125, 0.0]))
    decode = phases.of_recording(Magnitudes(), source, SPEC, 4)
    assert decode(torch.full((2, 1, 4), 2.0)).tolist() == [[[1.0, -0.5, 0.25, 0.0]]] * 2
    with pytest.raises(GansembleError, match=r"--phase-of .*a\.wav: another length"):
        decode(torch.ones(1, 1, 3))


def vocoder_of(monkeypatch: pytest.MonkeyPatch, exp: Path, made: TrainedGenerator) -> Callable[[Tensor], Tensor]:
    def load(*asked: object) -> TrainedGenerator:
        assert asked == (exp, "best", torch.device("cpu"))
        return made

    monkeypatch.setattr(phases, "load", load)
    return phases.of_vocoder(Magnitudes(), exp, SPEC, torch.device("cpu"))


def test_a_vocoder_makes_the_waveform_of_the_magnitudes(tmp_path, monkeypatch):
    decode = vocoder_of(monkeypatch, tmp_path, trained(Noting(), representation=Twice()))
    assert decode(torch.full((3, 1, 4), 0.25)).tolist() == [[[0.5] * 128]] * 3


def test_a_vocoder_must_read_a_spectrogram_alone_at_the_clips_rate(tmp_path, monkeypatch):
    for reads, listed in (({"mel", "f0"}, "f0, mel"), ({"degraded"}, "degraded")):
        with pytest.raises(GansembleError, match=rf"its generator reads {listed}, expected a mel spectrogram alone"):
            vocoder_of(monkeypatch, tmp_path, trained(Noting(), reads=reads))
    other = trained(Noting())
    other.recipe.audio = AudioSpec(sample_rate=16000, fmax=None)
    with pytest.raises(GansembleError, match="works at 16000 Hz, the generated clips are at 8000 Hz"):
        vocoder_of(monkeypatch, tmp_path, other)
    with pytest.raises(GansembleError, match=r"gone: no such folder; expected the experiment of a vocoder"):
        phases.of_vocoder(Magnitudes(), tmp_path / "gone", SPEC, torch.device("cpu"))
    with pytest.raises(GansembleError, match=r"--vocoder .*\(Waveform\) takes no phase from elsewhere"):
        phases.of_vocoder(Waveform(), tmp_path, SPEC, torch.device("cpu"))
