"""GANSynth's closed forms, oracle numbers and equivalences: representations, growth, networks and terms."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.abilities import Growable
from gansemble.audio.spec import AudioSpec
from gansemble.inference.generation import between
from gansemble.interfaces import Batch, Condition, DiscriminatorOutput, Step
from gansemble.parts.discriminators import Discriminators
from gansemble.random import Draws
from gansemble.recipe import document, types
from gansemble.recipe.compose import compose
from gansemble.recipe.sections import Phase, Plan
from gansemble.training.ema import Ema
from gansemble.training.schedule import TrainingSchedule
from gansemble_plugins.basics.objectives import Wasserstein
from gansemble_plugins.basics.regularisers import Drift, GradientPenalty
from gansemble_plugins.gansynth import growth, layers, spectrograms
from gansemble_plugins.gansynth.discriminator import GanSynthDiscriminator
from gansemble_plugins.gansynth.generator import GanSynth
from gansemble_plugins.gansynth.representations import (
    InstantaneousFrequency,
    MelInstantaneousFrequency,
    PhaseSpectrogram,
)
from gansemble_plugins.gansynth.spectrograms import framing
from gansemble_plugins.gansynth.terms import AuxiliaryClassifier, Consistency

torch.set_num_threads(1)
ROOT = Path(__file__).parents[2]
NOTES = sorted((ROOT.parent / "shared/audio/nsynth/audio").glob("*.wav"))
RECIPES = sorted((ROOT / "egs").glob("*/gansynth/conf/v1.yaml"))
NSYNTH = AudioSpec(sample_rate=16000, fmax=8000)
RATE, LENGTH = 16000, 64000
A, B = 0.0661371661726, 0.113718730221
#: Progress at stable stages and within transitions of four blocks.
PROGRESS = [0.0, 0.25, 1.0, 1.5, 2.0, 2.75, 3.0]
SMALL = {"blocks": 4, "fmap_base": 32, "fmap_max": 4, "pitches": (60, 63)}

has_notes = pytest.mark.skipif(not NOTES, reason="the shared NSynth notes (../shared/audio/nsynth) are not here")


def seconds() -> Tensor:
    return torch.arange(LENGTH, dtype=torch.float64) / RATE


def harmonic(hertz: float) -> Tensor:
    """A note [1, 1, 64000]: harmonics h of level h^-1.5, 20 ms of attack, decaying."""
    time = seconds()
    orders = [h for h in range(1, 16) if hertz * h < 7800]
    tone = sum(0.5 / h**1.5 * torch.sin(2 * math.pi * hertz * h * time + h) for h in orders)
    return ((time / 0.02).clamp(max=1) * torch.exp(-0.7 * time) * tone).float()[None, None]


def snr(reference: Tensor, estimate: Tensor) -> Tensor:
    """Of each item [dB]."""
    reference, estimate = reference.double().flatten(1), estimate.double().flatten(1)
    return 10 * torch.log10(reference.square().sum(1) / (estimate - reference).square().sum(1))


def notes() -> Tensor:
    return torch.stack([torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in NOTES])[:, None]


def mel(hires: bool = True, segment: int = LENGTH) -> MelInstantaneousFrequency:
    return MelInstantaneousFrequency(audio=NSYNTH, segment=segment, hires=hires)


# frames and phases ------------------------------------------------------


@pytest.mark.parametrize(
    ("segment", "hires", "shape", "n_fft", "hop", "padding", "blocks"),
    [
        (64000, True, (128, 1024), 2048, 512, 3072, 7),
        (64000, False, (256, 512), 1024, 256, 2304, 7),
        (16384, True, (64, 512), 1024, 256, 768, 6),
        (16384, False, (128, 256), 512, 128, 384, 6),
        (4096, True, (32, 256), 512, 128, 384, 5),
    ],
)
def test_images_have_the_published_sizes_and_padding(segment, hires, shape, n_fft, hop, padding, blocks) -> None:
    """128 x 1024 and 256 x 512 for four seconds, all padding on the left; shorter segments make smaller images."""
    made = framing(segment, hires)
    assert (made.shape, made.n_fft, made.hop, made.padding, made.blocks) == (shape, n_fft, hop, padding, blocks)
    assert growth.size(blocks, made.start) == shape
    assert made.stft(torch.zeros(1, segment)).shape == (1, *shape)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_fft": 1000}, "power of two, got 1000"), ({"n_fft": 2048, "hop": 2048}, "hop must be between"),
        ({"n_fft": 256}, "cover 1024 samples, got a segment of 4096"), ({"hop": 0}, "hop must be between"),
    ],
)  # fmt: skip
def test_frames_that_cannot_be_are_refused(wrong, message) -> None:
    with pytest.raises(ValueError, match=message):
        PhaseSpectrogram(segment=4096, **wrong)
    with pytest.raises(ValueError, match=message):
        PhaseSpectrogram.contract({"segment": 4096, "hires": True, "n_fft": None, "hop": None} | wrong)


@pytest.mark.parametrize("hertz", [100, 220, 440, 1000, 3520])
def test_a_steady_sine_has_its_frequency_in_its_bins(hertz) -> None:
    """2 (f hop / rate - round(f hop / rate)): .4, .08, .16, 0, -.72 at hop 512."""
    known = {100: 0.4, 220: 0.08, 440: 0.16, 1000: 0.0, 3520: -0.72}
    turns = hertz * 512 / RATE
    assert 2 * (turns - round(turns)) == pytest.approx(known[hertz])
    spectrum = framing(LENGTH, True).stft(torch.sin(2 * math.pi * hertz * seconds())[None])
    frequency = spectrograms.instantaneous_frequency(spectrograms.angle(spectrum))[0]
    bin_ = round(hertz * 2048 / RATE) - 1  # DC is left out
    assert frequency[20:120, bin_].tolist() == pytest.approx([known[hertz]] * 100, abs=1e-5)


def test_magnitude_at_a_bins_centre() -> None:
    """ln(A N / 4): 5.5452 for amplitude .5 and 2048 samples."""
    spectrum = framing(LENGTH, True).stft((0.5 * torch.sin(2 * math.pi * 1000 * seconds()))[None])
    assert float(spectrograms.log_magnitude(spectrum)[0, 64, 127]) == pytest.approx(math.log(256), abs=1e-5)
    assert math.log(256) == pytest.approx(5.5452, abs=1e-4)


def test_silence_is_the_floor_with_phase_zero() -> None:
    """-13.8155 = ln 1e-6, also of mel power; negative zeros are zeros."""
    silence = torch.zeros(1, 1, LENGTH)
    spectrum = framing(LENGTH, True).stft(silence[0])
    assert spectrograms.log_magnitude(spectrum).unique().tolist() == pytest.approx([-13.8155], abs=1e-4)
    power, frequency = mel().raw(silence)
    assert [float(each) for each in torch.aminmax(power)] == pytest.approx([-13.8155] * 2, abs=1e-4)
    assert not frequency.any() and not spectrograms.angle(spectrum).any()
    assert not spectrograms.angle(torch.complex(torch.tensor([-0.0, 0.0]), torch.tensor([0.0, -0.0]))).any()


def test_phase_differences_are_wrapped_and_summed_up_again() -> None:
    """Within ±1, the first frame's phase itself; unwrapping and differencing gives the same."""
    phases = math.pi * (2 * torch.rand(2, 40, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1)
    found = spectrograms.instantaneous_frequency(phases)
    unwrapped = np.unwrap(phases.numpy(), axis=1)
    assert np.allclose(found.numpy(), np.concatenate([unwrapped[:, :1], np.diff(unwrapped, axis=1)], 1) / math.pi)
    again = spectrograms.accumulate(found)
    assert torch.allclose(torch.polar(torch.ones_like(again), again), torch.polar(torch.ones_like(phases), phases))
    edges = torch.tensor([math.pi, -math.pi, 3 * math.pi, -3 * math.pi, 0.0], dtype=torch.float64)
    assert spectrograms.wrap(edges).tolist() == pytest.approx([math.pi, -math.pi, math.pi, -math.pi, 0])


def test_a_harmonic_notes_peaks() -> None:
    """Frame 64 of middle C: bin 32 at 4.04527 and IF .74404; mel band 42 at 7.79405 and .55313; largest 10.38767."""
    note, part = harmonic(261.6256), mel()
    spectrum = part.images.stft(note)
    magnitude = spectrograms.log_magnitude(spectrum)[0, 64]
    frequency = spectrograms.instantaneous_frequency(spectrograms.angle(spectrum))[0, 64]
    assert int(magnitude.argmax()) == 32
    assert [float(magnitude[32]), float(frequency[32])] == pytest.approx([4.04527, 0.74404], abs=2e-5)
    power, mixed = (each[0] for each in part.raw(note))
    assert int(power[64].argmax()) == 42 and float(power.max()) == pytest.approx(10.38767, abs=2e-5)
    assert [float(power[64, 42]), float(mixed[64, 42])] == pytest.approx([7.79405, 0.55313], abs=2e-5)


# mel matrices -----------------------------------------------------------


@pytest.mark.parametrize(
    ("bins", "total", "norm", "count", "empty", "rank", "inverse"),
    [
        (1024, 1021.098181, 26.117478, 2042, [0, 1023], 811, (1021.011385, 27.870034)),
        (512, 509.101678, 18.455943, 1018, [0, 511], 405, (510.222281, 19.712196)),
    ],
)
def test_mel_matrices_are_the_released_ones(bins, total, norm, count, empty, rank, inverse) -> None:
    weights, back = spectrograms.mel_weights(bins, RATE), spectrograms.mel_inverse(bins, RATE)
    assert [weights.sum(), np.linalg.norm(weights)] == pytest.approx([total, norm], abs=1e-6)
    assert int((weights > 0).sum()) == count and np.linalg.matrix_rank(weights) == rank
    assert np.flatnonzero(weights.sum(1) == 0).tolist() == empty and int((weights.sum(0) == 0).sum()) == 1
    assert [back.sum(), np.linalg.norm(back)] == pytest.approx(inverse, abs=1e-6)


def test_mel_matrices_entries() -> None:
    high, low = spectrograms.mel_weights(1024, RATE), spectrograms.mel_weights(512, RATE)
    assert [high[1, 1], high[1, 2], high[100, 132], high[100, 133]] == pytest.approx(
        [0.971973, 0.028027, 0.208151, 0.791849], abs=1e-6
    )
    assert [low[1, 1], low[100, 132], low[100, 133]] == pytest.approx([0.982920, 0.289820, 0.710180], abs=1e-6)
    assert high.sum(0).max() == pytest.approx(2.7616, abs=1e-4)


# there and back ---------------------------------------------------------


def exact(kind: type, hires: bool, audio: Tensor) -> Tensor:
    """What an image of phases, its normaliser measured on the audio itself, gives back."""
    part = kind(segment=audio.shape[-1], hires=hires)
    part.fit(iter([audio]))
    image = part.encode(audio)
    assert float(image[:, 0].min()) == pytest.approx(-0.8) and float(image[:, 0].max()) == pytest.approx(0.8)
    assert float(image[:, 1].abs().max()) <= 0.8 + 1e-6
    return part.decode(image)


@pytest.mark.parametrize("hires", [True, False])
@pytest.mark.parametrize("kind", [PhaseSpectrogram, InstantaneousFrequency])
def test_a_fading_tone_comes_back(kind, hires) -> None:
    """Within -60 dB, where it is over before the frames that cover it are."""
    time = seconds()
    tone = sum(torch.sin(2 * math.pi * hertz * time) for hertz in (220, 1234.5, 3001)) * torch.exp(-3 * time)
    tone = (0.2 * tone * torch.sin(math.pi * time / 3.7).square() * (time < 3.7)).float()[None, None]
    assert float(snr(tone, exact(kind, hires, tone))) > 60


@has_notes
@pytest.mark.parametrize("kind", [PhaseSpectrogram, InstantaneousFrequency])
def test_notes_come_back(kind) -> None:
    """Real notes within -60 dB (lores, a sharper tail: -54 dB); what is lost is DC and the tail."""
    assert float(snr(notes(), exact(kind, True, notes())).min()) > 60
    assert float(snr(notes()[:4], exact(kind, False, notes()[:4])).min()) > 54


@has_notes
@pytest.mark.parametrize(("hires", "median", "largest"), [(True, 0.40, 0.64), (False, 0.36, 0.53)])
def test_mel_images_of_notes_keep_the_spectrum(hires, median, largest) -> None:
    """Spectral convergence below .65; samples are not kept, so no waveform SNR is asked for."""
    audio, part = notes(), mel(hires)
    before, after = (part.images.stft(each).abs().flatten(1) for each in (audio, part.decode(part.encode(audio))))
    error = (after - before).norm(dim=1) / before.norm(dim=1)
    assert float(error.median()) == pytest.approx(median, abs=0.01)
    assert float(error.max()) == pytest.approx(largest, abs=0.015) and float(error.max()) < 0.65


def test_noise_loses_dc_and_its_tail() -> None:
    """38.85 dB inside, 19.47 dB of the whole clip; through mel images -1.3 dB."""
    noise = torch.from_numpy((0.1 * np.random.RandomState(1234).randn(1, 1, LENGTH)).astype("float32"))
    part = mel()
    back = part.images.framing.istft(part.images.stft(noise))[:, None]
    assert float(snr(noise, back)) == pytest.approx(19.47, abs=0.01)
    assert float(snr(noise[..., 2048:-2048], back[..., 2048:-2048])) == pytest.approx(38.85, abs=0.01)
    assert float(snr(noise, part.decode(part.encode(noise)))) == pytest.approx(-1.3, abs=0.05)


def cents(audio: Tensor, hertz: float, reach: float) -> float:
    """How far above ``hertz`` the spectrum's highest peak near it is [cents]."""
    time, grid = seconds().numpy(), np.linspace(-reach, reach, 61)
    sound = audio[0, 0].double().numpy() * np.hanning(LENGTH)
    heights = [abs(np.exp(-2j * math.pi * hertz * 2 ** (cent / 1200) * time) @ sound) for cent in grid]
    top = int(np.argmax(heights))
    assert 0 < top < 60
    left, middle, right = heights[top - 1 : top + 2]
    return float(grid[top] + (grid[1] - grid[0]) * 0.5 * (left - right) / (left - 2 * middle + right))


@pytest.mark.parametrize("pitch", range(24, 85, 6))
def test_mel_images_keep_the_fundamental(pitch) -> None:
    """Within a cent from MIDI 24 to 84 where bins are narrow; wide ones are far too sharp at the lowest note."""
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    note, part = harmonic(hertz), mel()
    assert cents(part.decode(part.encode(note)), hertz, 15) - cents(note, hertz, 15) == pytest.approx(0, abs=1)
    if pitch == 24:
        part = mel(hires=False)
        assert cents(part.decode(part.encode(note)), hertz, 30) > 10


# normalisation ----------------------------------------------------------


def test_the_preset_is_the_published_one() -> None:
    """y = clip(a x + b): -13.8155 and 10.3766 become ±0.8, 13.40 is the first to be clipped."""
    part = mel(segment=4096)
    assert part.fitted and part.images.scale() == ((A, B), (0.8, 0.0))
    ends = torch.tensor([-13.8155, 10.3766, 13.40, 99.0]).view(1, 4, 1)
    image = part.images.encode(ends.repeat(1, 8, 256), torch.ones(1, 32, 256))
    assert image[0, 0, :4, 0].tolist() == pytest.approx([-0.8, 0.8, 1, 1], abs=1e-4)
    assert image[0, 1].unique().tolist() == pytest.approx([0.8])
    part.fit(iter([torch.zeros(1, 1, 4096)]))
    assert part.images.scale()[0] == (A, B)


def test_a_measured_normaliser_spans_the_training_split() -> None:
    """a = .8 2 / (max - min), b = .8 (-2 min / (max - min) - 1), over all batches; needed before encoding."""
    part = MelInstantaneousFrequency(audio=NSYNTH, segment=4096, scale="measured")
    audio = (
        torch.randn(6, 1, 4096, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 0, 6)[:, None, None]
    )
    with pytest.raises(RuntimeError, match="stage 2"):
        part.encode(audio)
    part.fit(iter(audio.split(2)))
    low, high = (float(each) for each in torch.aminmax(part.raw(audio)[0]))
    slope, offset = part.images.scale()[0]
    assert [slope, offset] == pytest.approx([1.6 / (high - low), 0.8 * (-2 * low / (high - low) - 1)])
    assert torch.aminmax(part.encode(audio)[:, 0])[0] == pytest.approx(-0.8)
    other = MelInstantaneousFrequency(audio=NSYNTH, segment=4096, scale="measured")
    other.load_state_dict(part.state_dict())
    assert other.fitted and torch.equal(other.encode(audio), part.encode(audio))
    with pytest.raises(ValueError, match="must differ"):
        MelInstantaneousFrequency(audio=NSYNTH, segment=4096, scale="measured").fit(iter([torch.zeros(1, 1, 4096)]))


# growth -----------------------------------------------------------------


def test_weights_of_blocks() -> None:
    """alpha_G sums to 1 and is one block's alone at stable stages; alpha_D falls as the next block comes."""
    for progress in np.linspace(0, 6, 97):
        weights = [growth.generator_alpha(block, progress) for block in range(1, 8)]
        assert sum(weights) == pytest.approx(1)
        assert sum(weight > 0 for weight in weights) == (1 if progress == int(progress) else 2)
        top = growth.current_block(progress)
        assert weights[top - 1] > 0 and not any(weights[top:])
        assert growth.discriminator_alpha(top, progress) == 1
        assert growth.discriminator_alpha(top - 1, progress) == pytest.approx(1 - weights[top - 1] if top > 1 else 0)
    assert [growth.generator_alpha(b, 5.25) for b in (5, 6, 7)] == [0, 0.75, 0.25]
    assert [growth.discriminator_alpha(b, 5.25) for b in (5, 6, 7)] == [0, 0.75, 1]


def test_progress_of_images() -> None:
    """floor(j / 1.6 M) + max(0, (j mod 1.6 M - .8 M) / .8 M), j at most 10,399,999."""
    known = {0: 0, 799_999: 0, 800_000: 0, 1_200_000: 0.5, 1_600_000: 1, 2_399_999: 1, 2_600_000: 1.25, 9_600_000: 6,
             10_399_999: 6, 11_000_000: 6}  # fmt: skip
    assert {images: growth.progress_at(images) for images in known} == known
    assert growth.progress_at(9_599_999) == pytest.approx(6, abs=2e-6)


def test_the_published_phases() -> None:
    """13 stages up to 0.8, 1.6 … 9.6, 11.0 M images, with 1 2 2 3 3 … 7 7 blocks, 8 images a step."""
    plan = growth.phases()
    images = np.cumsum([phase["steps"] * phase["batch_size"] for phase in plan])
    assert images.tolist() == [*range(800_000, 9_600_001, 800_000), 11_000_000]
    assert [growth.current_block(phase["progress"][1]) for phase in plan] == [1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]
    schedule = TrainingSchedule(plan_of(plan), 60_788)
    for step in range(0, 1_375_000, 12_347):
        assert schedule.progress(step) == pytest.approx(growth.progress_at(8 * step), abs=1e-9)


def plan_of(phases: list[dict]) -> Plan:
    made = tuple(Phase(each["steps"], each["batch_size"], tuple(each["progress"])) for each in phases)
    return Plan(steps=sum(phase.steps for phase in made), phases=made)


def test_phases_of_other_sizes() -> None:
    """Batch sizes for each block; stages are whole batches, and the total holds them all."""
    plan = growth.phases(blocks=3, stable=64, transition=32, total=300, batch_size=[16, 8, 4])
    assert [phase["batch_size"] for phase in plan] == [16, 8, 8, 4, 4]
    assert [phase["steps"] for phase in plan] == [4, 4, 8, 8, 27]
    for wrong in ({"total": 192}, {"stable": 60}, {"batch_size": [16, 8]}):
        with pytest.raises(ValueError, match="must be"):
            growth.phases(
                **({"blocks": 3, "stable": 64, "transition": 32, "total": 300, "batch_size": [16, 8, 4]} | wrong)
            )


def test_written_phases_are_read_back(tmp_path, capsys) -> None:
    growth._main(["--blocks", "2", "--stable", "16", "--transition", "8", "--total", "64", "--batch-size", "8"])
    path = tmp_path / "plan.yaml"
    path.write_text(capsys.readouterr().out)
    expected = growth.phases(blocks=2, stable=16, transition=8, total=64)
    assert document.read(path).value["plan"] == {"steps": 8, "phases": expected}


@pytest.mark.skipif(not RECIPES, reason="there is no egs/*/gansynth/conf/v1.yaml")
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.parts[-4])
def test_recipes_have_the_published_phases(path) -> None:
    plan = compose(path).value["plan"]
    keys = ("steps", "batch_size", "progress", "fresh_optimisers")
    found = [
        {"batch_size": plan.get("batch_size")} | {k: v for k, v in phase.items() if k in keys}
        for phase in plan["phases"]
    ]
    assert found == growth.phases() and plan["steps"] == 1_375_000


@pytest.mark.parametrize("progress", PROGRESS)
def test_images_are_those_of_the_current_block(progress) -> None:
    """Brought to full resolution, they are the published blend of un-normalised full-resolution images."""
    part, blocks = mel(segment=1024), 4
    audio = 0.3 * torch.randn(2, 1, 1024, generator=torch.Generator().manual_seed(0))
    raw = torch.stack(part.raw(audio), 1)
    part.set_progress(progress)
    assert isinstance(part, Growable) and part.images.framing.blocks == blocks
    image = part.encode(audio)
    assert tuple(image.shape[2:]) == growth.size(growth.current_block(progress), (2, 16))
    blend = torch.zeros_like(raw)
    for block in range(1, blocks + 1):
        factor = 2 ** (blocks - block)
        shrunk = F.interpolate(F.avg_pool2d(raw, factor), scale_factor=factor)
        blend += growth.generator_alpha(block, progress) * shrunk
    expected = torch.stack([(blend[:, 0] * A + B).clamp(-1, 1), (blend[:, 1] * 0.8).clamp(-1, 1)], 1)
    factor = raw.shape[2] // image.shape[2]
    assert torch.allclose(growth.upscale(image, factor), expected, atol=1e-5)


def test_lower_images_are_decoded_with_repeated_pixels() -> None:
    """Whatever the progress: a generator is heard at every stage; images of no block's size are refused."""
    part = mel(segment=1024)
    image = torch.tanh(torch.randn(2, 2, 4, 32, generator=torch.Generator().manual_seed(0)))
    full = image.repeat_interleave(4, 2).repeat_interleave(4, 3)
    expected = part.decode(full)
    assert expected.shape == (2, 1, 1024) and torch.equal(part.decode(image), expected)
    part.set_progress(1.5)
    assert torch.equal(part.decode(image), expected)
    for shape in ((2, 2, 3, 32), (2, 2, 4, 16), (2, 1, 4, 32), (2, 2, 1, 8), (2, 2, 32, 256)):
        with pytest.raises(ValueError, match=r"\[B, 2, 16, 128\] or that of a block below"):
            part.decode(torch.zeros(shape))


# networks ---------------------------------------------------------------


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_for_each_number_of_blocks() -> None:
    generators = [3_187_714, 4_368_388, 5_549_062, 6_729_736, 7_172_618, 7_283_468, 7_311_246]
    judges = [2_706_494, 3_887_422, 5_068_350, 6_249_278, 6_692_414, 6_803_390, 6_831_230]
    with torch.device("meta"):
        assert [count(GanSynth(blocks=blocks)) for blocks in range(1, 8)] == generators
        assert [count(GanSynthDiscriminator(blocks=blocks)) for blocks in range(1, 8)] == judges


def test_parameters_of_each_layer() -> None:
    with torch.device("meta"):
        generator, judge = GanSynth(), GanSynthDiscriminator()
    convolutions = [(count(block.conv0), count(block.conv1)) for block in generator.blocks]
    assert convolutions == [(2_597_120, 590_080), *[(590_080, 590_080)] * 3, (295_040, 147_584), (73_792, 36_928),
                            (18_464, 9_248)]  # fmt: skip
    assert [count(block.to_rgb) for block in generator.blocks] == [514] * 4 + [258, 130, 66]
    convolutions = [(count(block.conv0), count(block.conv1)) for block in judge.blocks]
    assert convolutions == [(592_384, 2_097_408), *[(590_080, 590_080)] * 3, (147_584, 295_168), (36_928, 73_856),
                            (9_248, 18_496)]  # fmt: skip
    assert [count(block.from_rgb) for block in judge.blocks] == [768] * 4 + [384, 192, 96]
    assert (count(judge.logits), count(judge.classification_logits)) == (257, 15_677)
    assert [layers.fmap(block, 4096, 256) for block in range(8)] == [256] * 5 + [128, 64, 32]


def test_equalised_learning_rates() -> None:
    """Weights are N(0, 1), scaled by sqrt(2 / fan_in) before activations and sqrt(1 / fan_in) elsewhere; biases are
    zero and not scaled."""
    generator, judge = GanSynth(**(SMALL | {"fmap_max": 64, "fmap_base": 4096})), GanSynthDiscriminator(**SMALL)
    first = generator.blocks[0].conv0
    assert first.weight.shape == (64, 260, 2, 16) and first.scale == pytest.approx(math.sqrt(2 / (2 * 16 * 260)))
    assert float(first.weight.detach().std()) == pytest.approx(1, abs=0.01)
    assert generator.blocks[1].conv1.scale == pytest.approx(math.sqrt(2 / (9 * 64)))
    assert generator.blocks[1].to_rgb.scale == pytest.approx(math.sqrt(1 / 64))
    assert judge.blocks[0].from_rgb.scale == pytest.approx(math.sqrt(2 / 2))
    assert judge.blocks[0].conv0.scale == pytest.approx(math.sqrt(2 / (9 * 5)))
    assert judge.logits.scale == judge.classification_logits.scale == pytest.approx(math.sqrt(1 / 4))
    assert not any(p.any() for n, p in [*generator.named_parameters(), *judge.named_parameters()] if n.endswith("bias"))
    with torch.no_grad():
        first.bias.fill_(3)
    x = torch.randn(1, 260, 2, 16)
    plain = first.scale * F.conv2d(x, first.weight) + 3
    assert torch.allclose(first(x), plain, atol=1e-5)


def test_pixel_norm_has_unit_power() -> None:
    """Over channels, at each place; 1e-8 keeps nothing nothing; half precision does too."""
    x = 7 * torch.randn(2, 32, 3, 5, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(layers.pixel_norm(x).square().mean(1).sqrt(), torch.ones(2, 3, 5), atol=1e-5)
    tiny = torch.full((1, 4), 1e-4)
    assert torch.allclose(layers.pixel_norm(tiny), tiny / math.sqrt(2e-8))
    assert not layers.pixel_norm(torch.zeros(1, 4).half()).any()


def test_minibatch_deviation() -> None:
    """One number for the whole batch: 1e-3 for equal items; the mean of the population's deviations else."""
    same = torch.randn(1, 3, 2, 4).expand(5, 3, 2, 4)
    made = layers.minibatch_deviation(same)
    assert made.shape == (5, 4, 2, 4) and torch.equal(made[:, :3], same)
    assert made[:, 3].unique().tolist() == pytest.approx([1e-3], rel=1e-4)
    x = torch.randn(5, 3, 2, 4, generator=torch.Generator().manual_seed(0))
    expected = np.sqrt(x.numpy().var(0) + 1e-6).mean()
    assert layers.minibatch_deviation(x)[:, 3].unique().tolist() == pytest.approx([expected])


def condition_of(items: int = 3, size: int = 8) -> Condition:
    z = torch.randn(items, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Condition(latent=z, label=torch.arange(items) % 4)


def trained(kind: type, seed: int = 0, **changes) -> nn.Module:
    """A small network in double precision whose biases are not zero."""
    torch.manual_seed(seed)
    network = kind(**(SMALL | changes)).double()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.3)
    return network


def full_generator(network: GanSynth, condition: Condition, progress: float) -> Tensor:
    """The published form: every block's image at full resolution, weighted by alpha_G."""
    x = torch.cat([condition.latent, F.one_hot(condition.label, 4).double()], 1)
    x = (x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt())[:, :, None, None]
    blocks, total = len(network.blocks), 0
    for number, block in enumerate(network.blocks, 1):
        x = block(x)
        image = torch.tanh(block.to_rgb(x))
        total = total + growth.generator_alpha(number, progress) * F.interpolate(
            image, scale_factor=2 ** (blocks - number)
        )
    return total


def full_judge(network: GanSynthDiscriminator, image: Tensor, progress: float) -> Tensor:
    """The published form: every block reads means of the full-resolution image, weighted by alpha_D."""
    blocks, h = len(network.blocks), None
    for number in range(blocks, 0, -1):
        block = network.blocks[number - 1]
        read = F.leaky_relu(block.from_rgb(F.avg_pool2d(image, 2 ** (blocks - number))), 0.2)
        alpha = growth.discriminator_alpha(number, progress)
        h = read if h is None else alpha * read + (1 - alpha) * h
        h = block(h)
    return network.logits(h.flatten(1))


@pytest.mark.parametrize("progress", PROGRESS)
def test_the_generators_images_are_the_published_ones(progress) -> None:
    """At the current resolution, with pixels repeated: values and every parameter's gradient; others' are zero."""
    network = trained(GanSynth, latent=8)
    network.set_progress(progress)
    image = network(condition_of())
    size = growth.size(growth.current_block(progress), (2, 16))
    assert isinstance(network, Growable) and image.shape == (3, 2, *size) and bool((image.abs() <= 1).all())
    full, published = growth.upscale(image, 16 // size[0]), full_generator(network, condition_of(), progress)
    assert torch.allclose(full, published, atol=1e-12)
    pull = torch.randn(full.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ours = torch.autograd.grad((full * pull).sum(), list(network.parameters()))
    theirs = torch.autograd.grad((published * pull).sum(), list(network.parameters()))
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(ours, theirs, strict=True))
    assert any(not gradient.any() for gradient in ours)


@pytest.mark.parametrize("progress", PROGRESS)
def test_outputs_are_the_published_ones(progress) -> None:
    """Of images that are constant over blocks of pixels, as those blended to full resolution are; and the gradient's
    norm there is that of ours, divided by the blocks' side."""
    network = trained(GanSynthDiscriminator, gp_domain="normalised")
    network.set_progress(progress)
    size = growth.size(growth.current_block(progress), (2, 16))
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(3, 2, *size, generator=generator, dtype=torch.float64).requires_grad_()
    factor = 16 // size[0]
    full = growth.upscale(image, factor).detach().requires_grad_()
    ours, theirs = network(image, Condition()).score, full_judge(network, full, progress)
    assert torch.allclose(ours, theirs, atol=1e-12)
    (mine,), (published,) = torch.autograd.grad(ours.sum(), image), torch.autograd.grad(theirs.sum(), full)
    assert torch.allclose(growth.upscale(mine, factor) / factor**2, published, atol=1e-12)
    norms = (mine * network.gradient_scale).flatten(1).norm(dim=1)
    assert torch.allclose(norms, published.flatten(1).norm(dim=1))
    assert float(network.gradient_scale.double().max()) == 1 / factor


def test_networks_grow_without_a_jump() -> None:
    """A millionth behind a stable stage, images and outputs are those of the stage."""
    generator, judge = trained(GanSynth, latent=8), trained(GanSynthDiscriminator)
    for stage in (0, 1, 2):
        made, scores = [], []
        for progress in (stage, stage + 1e-6, stage + 1 - 1e-6, stage + 1):
            generator.set_progress(progress)
            judge.set_progress(progress)
            image = generator(condition_of())
            made.append(growth.upscale(image, 16 // image.shape[2]))
            scores.append(judge(image, Condition()).score)
        for before, after in ((0, 1), (2, 3)):
            assert torch.allclose(made[before], made[after], atol=1e-5)
            assert torch.allclose(scores[before], scores[after], atol=1e-4)


def test_every_parameter_is_in_the_graph_at_every_stage() -> None:
    """Several processes wait for each gradient: blocks to come and the unused classifier get zeros."""
    generator, judge = trained(GanSynth, latent=8), trained(GanSynthDiscriminator)
    for progress in PROGRESS:
        for network in (generator, judge):
            network.zero_grad(set_to_none=True)
            network.set_progress(progress)
        before = generator(condition_of())
        judge(before, Condition()).score.sum().backward()
        assert all(p.grad is not None for p in [*generator.parameters(), *judge.parameters()])
        assert not judge.classification_logits.weight.grad.any()
        top = growth.current_block(progress)
        assert not any(p.grad.any() for block in generator.blocks[top:] for p in block.parameters())
    broken = copy.deepcopy(generator)
    for network in (generator, broken):
        network.set_progress(1.0)
    nn.init.constant_(broken.blocks[3].conv0.weight, math.nan)
    assert torch.equal(broken(condition_of()), generator(condition_of()))
    with torch.no_grad():
        assert torch.equal(broken(condition_of()), generator(condition_of()))


def test_progress_is_part_of_the_state() -> None:
    """Saved weights and their average make images of the stage they were trained at."""
    network = GanSynth(**SMALL, latent=8)
    average = Ema(network, 0.9)
    network.set_progress(1.25)
    average.update(network)
    condition = dataclasses.replace(condition_of(), latent=condition_of().latent.float())
    assert average.shadow(condition).shape == network(condition).shape == (3, 2, 8, 64)
    other = GanSynth(**SMALL, latent=8)
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(condition), network(condition)) and torch.equal(
        other.eval()(condition), network(condition)
    )
    network.set_progress(99)
    assert network.growth.progress == 3
    assert growth.settle(1 + 1e-9, 4) == 1.0 and growth.current_block(growth.settle(1 + 1e-9, 4)) == 2


def test_contracts_state_the_published_sizes() -> None:
    """128 x 1024 from 256 normal entries and 61 pitches; the lores form begins at 4 x 8."""
    defaults = {name: parameter.default for name, parameter in types.signature(GanSynth).items()}
    contract = GanSynth.contract(defaults)
    assert contract.shape == (2, 128, 1024) and (contract.latent, contract.latent_law) == (256, "normal")
    assert contract.pitches == (24, 84) and contract.reads == {"latent", "label"} and contract.needs == {"pitch"}
    assert GanSynth.contract(defaults | {"start": (4, 8)}).shape == (2, 256, 512)
    defaults = {name: parameter.default for name, parameter in types.signature(GanSynthDiscriminator).items()}
    judges = GanSynthDiscriminator.contract(defaults)
    assert judges.shape == (2, 128, 1024) and judges.pitches == (24, 84) and judges.gives == {"logits"}
    image = MelInstantaneousFrequency.contract({"segment": LENGTH, "hires": True, "n_fft": None, "hop": None})
    assert image.shape == (2, 128, 1024) and image.domain == MelInstantaneousFrequency.domain


def test_networks_say_what_does_not_fit() -> None:
    judge = GanSynthDiscriminator(**SMALL)
    judge.set_progress(1)
    with pytest.raises(ValueError, match=r"at progress 1, gansynth judges \[B, 2, 4, 32\], got \[1, 2, 16, 128\]"):
        judge(torch.zeros(1, 2, 16, 128), Condition())
    with pytest.raises(ValueError, match=r"condition.label"):
        GanSynth(**SMALL)(Condition(latent=torch.zeros(1, 256)))
    for wrong in ({"blocks": 0}, {"start": (0, 16)}, {"fmap_base": 8}, {"pitches": (63, 60)}):
        for kind in (GanSynth, GanSynthDiscriminator):
            with pytest.raises(ValueError, match="must be"):
                kind(**(SMALL | wrong))


def test_latent_vectors_are_interpolated_on_the_sphere() -> None:
    """By equal angles, at the lengths normal vectors have, where a straight line's middle would be short."""
    first, last = torch.randn(2, 256, generator=torch.Generator().manual_seed(0))
    last = last * first.norm() / last.norm()
    made = torch.stack(between(first, last, 5, "normal"))
    assert made.norm(dim=1).tolist() == pytest.approx([float(first.norm())] * 5, rel=1e-5)
    cosines = F.cosine_similarity(made[1:], made[:-1], dim=1).tolist()
    assert cosines == pytest.approx([cosines[0]] * 4, abs=1e-5) and cosines[0] < 0.95
    assert float(((first + last) / 2).norm()) < 0.8 * float(first.norm())


# terms ------------------------------------------------------------------


def step_of(critic: nn.Module, real: Tensor, fake: Tensor, label: Tensor | None = None) -> Step:
    batch = Batch(real, tuple("abcdefgh"[: len(real)]), Draws.plain(0, len(real)), label=label)
    asked = Condition(label=None if label is None else label.flip(0))
    critics = Discriminators({"d": critic})
    step = Step(0, batch, real, fake, Condition(label=label), asked, real, fake, nn.Identity(), critics, {"d": 1.0})
    step.real_output, step.fake_output = critics((real, Condition()), (fake, asked))
    return step


class Linear(nn.Module):
    """<w, x>, as if the normaliser were its own."""

    def __init__(self, weight: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.weight, self.gradient_scale = nn.Parameter(weight), scale

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        return DiscriminatorOutput((x * self.weight).flatten(1).sum(1, keepdim=True))


def test_the_gradient_penalty_is_of_raw_spectrograms() -> None:
    """(sqrt((a |w_m|)^2 + (.8 |w_p|)^2) - 1)^2 for a linear critic, where (|w| - 1)^2 would be of normalised images."""
    real, fake = (torch.randn(4, 2, 16, 128, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    weight = torch.randn(1, 2, 16, 128, generator=torch.Generator().manual_seed(2))
    first, second = (float(each.norm()) for each in weight[0])
    raw, normalised = (GanSynthDiscriminator(**SMALL, gp_domain=each).gradient_scale for each in ("raw", "normalised"))
    penalty = GradientPenalty()(step_of(Linear(weight, raw), real, fake), "discriminator")
    assert penalty.item() == pytest.approx((math.hypot(A * first, 0.8 * second) - 1) ** 2, rel=1e-5)
    penalty = GradientPenalty()(step_of(Linear(weight, normalised), real, fake), "discriminator")
    assert penalty.item() == pytest.approx((math.hypot(first, second) - 1) ** 2, rel=1e-5)
    assert GanSynthDiscriminator(**SMALL, slopes=(0.1, 0.5)).gradient_scale.flatten().tolist() == pytest.approx(
        [0.1, 0.5]
    )


@pytest.mark.parametrize("progress", PROGRESS)
def test_the_penalty_at_low_resolution_is_that_of_the_full_one(progress) -> None:
    """The gradient of D(clip(a X + b)) with respect to full-resolution raw X, through the network at every stage."""
    network = trained(GanSynthDiscriminator)
    network.set_progress(progress)
    size = growth.size(growth.current_block(progress), (2, 16))
    factor = 16 // size[0]
    raw = torch.rand(3, 2, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    raw = torch.stack([24 * raw[:, 0] - 13.8, 2 * raw[:, 1] - 1], 1)
    full = growth.upscale(raw, factor).requires_grad_()
    scale, shift = torch.tensor([A, 0.8]).double().view(2, 1, 1), torch.tensor([B, 0.0]).double().view(2, 1, 1)
    score = full_judge(network, (full * scale + shift).clamp(-1, 1), progress)
    (gradient,) = torch.autograd.grad(score.sum(), full)
    expected = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    step = step_of(network.float(), (raw * scale + shift).float(), torch.zeros(3, 2, *size))
    assert GradientPenalty(at="real")(step, "discriminator").item() == pytest.approx(float(expected), rel=1e-4)


def test_the_auxiliary_classifier_in_both_turns() -> None:
    """Cross-entropy of real items' labels for the discriminators, of what was asked for for the generator."""
    judge = GanSynthDiscriminator(**SMALL)
    real, fake = (torch.randn(4, 2, 16, 128, generator=torch.Generator().manual_seed(s)).tanh() for s in (0, 1))
    label, term = torch.tensor([0, 1, 3, 3]), AuxiliaryClassifier()
    step = step_of(judge, real, fake, label)
    for turn, outputs, wanted in (
        ("discriminator", step.real_output, label),
        ("generator", step.fake_output, label.flip(0)),
    ):
        log = torch.log_softmax(outputs["d"][0].logits, 1)
        assert term(step, turn).item() == pytest.approx(-log[torch.arange(4), wanted].mean().item())
    with pytest.raises(ValueError, match="labels of real items"):
        term(step_of(judge, real, fake), "discriminator")
    with pytest.raises(ValueError, match="returns logits"):
        term(step_of(Linear(torch.ones(1), torch.ones(1)), real, fake, label), "generator")


def test_the_published_loss() -> None:
    """L_D = D(fake) - D(real) + .001 D(real)^2 + …, L_G = -D(fake) + …: the parts a recipe names."""
    step = step_of(
        Linear(torch.ones(1, 2, 1, 1), torch.ones(1)), torch.full((2, 2, 2, 4), 0.5), torch.zeros(2, 2, 2, 4)
    )
    real, fake = step.real_output["d"][0].score, step.fake_output["d"][0].score
    assert Wasserstein().discriminator(real, fake).item() == -8 == Wasserstein().generator(real).item()
    assert Drift()(step, "discriminator").item() == 64


def test_consistency_is_zero_for_images_of_audio() -> None:
    """An image that audio has costs nothing; one that none has costs, and its gradient is finite."""
    part = InstantaneousFrequency(segment=1024)
    time = torch.arange(1024) / RATE
    audio = (0.3 * torch.sin(2 * math.pi * 1000 * time) * (1 - time / 0.064))[None, None]
    part.fit(iter([audio + 0.1 * torch.randn(1, 1, 1024, generator=torch.Generator().manual_seed(0))]))
    term, values = Consistency(), {}
    invented = torch.tanh(torch.randn(1, 2, 16, 128, generator=torch.Generator().manual_seed(1)))
    for name, image in (("audio", part.encode(audio)), ("none", invented), ("silence", part.encode(0 * audio))):
        fake = image.clone().requires_grad_()
        step = SimpleNamespace(fake=fake, representation=part)
        values[name] = term(step, "generator").item()
        term(step, "generator").backward()
        assert bool(torch.isfinite(fake.grad).all())
    assert values["none"] > 30 * values["audio"]
    part.set_progress(1.5)
    low = growth.upscale(torch.zeros(1, 2, 2, 16), 4).requires_grad_()
    assert torch.isfinite(term(SimpleNamespace(fake=low, representation=part), "generator"))
    with pytest.raises(ValueError, match="representation"):
        term(SimpleNamespace(fake=invented, representation=None), "generator")


def test_pitches_are_learnt_by_both_sides() -> None:
    """Three blocks, four octaves, a few steps: the classifier knows tones it has not seen, and the generator is led by
    it to what it is asked for."""
    torch.manual_seed(0)
    part = mel(segment=256)
    sizes = {"blocks": 3, "fmap_base": 64, "fmap_max": 8, "pitches": (60, 63)}
    generator, judge, term = GanSynth(**sizes, latent=8), GanSynthDiscriminator(**sizes), AuxiliaryClassifier()

    def tones(seed: int) -> tuple[Tensor, Tensor]:
        draws = torch.Generator().manual_seed(seed)
        label = torch.arange(16) % 4
        phase = 6.28 * torch.rand(16, 1, generator=draws)
        tone = torch.sin(2 * math.pi * 500 * 2.0 ** label[:, None] * torch.arange(256) / RATE + phase)
        return part.encode((0.3 * tone + 0.01 * torch.randn(16, 256, generator=draws))[:, None]), label

    def fakes(seed: int, label: Tensor) -> Tensor:
        return generator(Condition(torch.randn(16, 8, generator=torch.Generator().manual_seed(seed)), label))

    learning = torch.optim.Adam(judge.parameters(), 0.01, (0.0, 0.99))
    for seed in range(40):
        real, label = tones(seed)
        learning.zero_grad()
        term(step_of(judge, real, real, label), "discriminator").backward()
        learning.step()
    real, label = tones(99)
    assert float((judge(real, Condition()).logits.argmax(1) == label).float().mean()) > 0.9
    learning = torch.optim.Adam(generator.parameters(), 0.03, (0.0, 0.99))
    for seed in range(60):
        learning.zero_grad()
        term(step_of(judge, real, fakes(seed, label.flip(0)), label), "generator").backward()
        learning.step()
    assert float((judge(fakes(99, label), Condition()).logits.argmax(1) == label).float().mean()) > 0.6
