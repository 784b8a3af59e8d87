"""WaveGAN, SpecGAN and GANSynth: what their own tests do not hold – whole networks' values, crops, the loop, learning."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

from gansemble.data import prepare
from gansemble.data.packed import Packed
from gansemble.data.segments import Segments
from gansemble.interfaces import Batch, Condition, Step
from gansemble.parts.build import build
from gansemble.parts.optimisers import optimisers
from gansemble.random import Draws
from gansemble.recipe import check
from gansemble.training.components import Components
from gansemble.training.ema import Ema
from gansemble.training.step import NetworkOptimiser, TrainingStep
from gansemble.training.trainer import Trainer
from gansemble_plugins.gansynth.discriminator import GanSynthDiscriminator
from gansemble_plugins.gansynth.generator import GanSynth
from gansemble_plugins.gansynth.representations import InstantaneousFrequency
from gansemble_plugins.specgan.critic import SpecGanCritic
from gansemble_plugins.specgan.generator import SpecGan
from gansemble_plugins.wavegan.critic import WaveGanCritic
from gansemble_plugins.wavegan.generator import WaveGan

torch.set_num_threads(1)
ROOT = Path(__file__).parents[2]
NOTES = sorted((ROOT.parent / "shared/audio/nsynth/audio").glob("*.wav"))
SC09 = ROOT / "egs/sc09/wavegan/conf/v1.yaml"
CPU = torch.device("cpu")
GROWN = {"blocks": 7, "fmap_base": 256, "fmap_max": 4, "pitches": (60, 63)}


# values of whole networks -----------------------------------------------


def known(network: nn.Module) -> nn.Module:
    """A network in double precision with weights that its checkpoint's names decide.

    Equalised weights are drawn from N(0, 1), all others from N(0, 0.04).
    """
    network = network.double().eval()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            equalised = isinstance(network, GanSynth | GanSynthDiscriminator) and name.endswith("weight")
            drawn = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(tuple(weight.shape))
            weight.copy_(torch.from_numpy(drawn * (1.0 if equalised else 0.2)))
    return network


def latents(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.RandomState(0).uniform(-1, 1, shape))


def noise(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.RandomState(1).standard_normal(shape))


@pytest.mark.parametrize(
    ("length", "rms", "samples", "scores"),
    [
        (16384, 0.49415545, [0.21196623, 0.29690629, 0.16482635, 0.28127745], [-1.30233043, 18.50375649]),
        (32768, 0.92962061, [0.65080099, 0.82954633, -0.61941863, 0.06940917], [75.30687956, 92.52914236]),
    ],
)
@torch.no_grad()
def test_wavegans_values(length, rms, samples, scores) -> None:
    """With d = 2, as written out in numpy in the released graph's layout, channels last."""
    made = known(WaveGan(segment=length, dim=2))(Condition(latents(2, 100)))
    assert float(made.square().mean().sqrt()) == pytest.approx(rms, abs=1e-7)
    assert made[0, 0, [0, 100, length // 2, length - 1]].tolist() == pytest.approx(samples, abs=1e-7)
    output = known(WaveGanCritic(segment=length, dim=2))(noise(2, 1, length), Condition())
    assert output.score[:, 0].tolist() == pytest.approx(scores, abs=1e-6)


@torch.no_grad()
def test_specgans_values() -> None:
    """With d = 2, as written out in numpy; the pixels lie apart on both axes, so that these cannot be exchanged."""
    made = known(SpecGan(dim=2))(Condition(latents(2, 100)))
    assert float(made.square().mean().sqrt()) == pytest.approx(0.48509034, abs=1e-7)
    pixels = made[0, 0, [0, 5, 64, 127], [0, 100, 64, 127]]
    assert pixels.tolist() == pytest.approx([0.27168902, 0.08458928, 0.31861561, 0.2501737], abs=1e-7)
    output = known(SpecGanCritic(dim=2))(noise(2, 1, 128, 128), Condition())
    assert output.score[:, 0].tolist() == pytest.approx([7.53912438, 24.69936949], abs=1e-6)


@pytest.mark.parametrize(
    ("progress", "rms", "pixels", "scores", "logits"),
    [
        (6.0, 0.66835614, [-0.18724813, -0.96473023, -0.52710315, 0.98072771],
         [0.08371223, 0.0761313, 0.07748742], [-0.11221445, -0.1556958, 0.0884356, 0.24294512]),
        (5.25, 0.41840742, [0.6831563, 0.14657705, -0.56279562, -0.15811264],
         [0.08546885, 0.08504686, 0.08835691], [-0.14233596, -0.14571434, 0.08584072, 0.23330913]),
        (3.5, 0.43714594, [0.29256993, 0.27961405, 0.00981721, -0.39756469],
         [0.02349796, 0.0138394, 0.02791889], [-0.08699878, -0.15031026, 0.06039134, 0.26839978]),
        (0.0, 0.56897757, [-0.77084984, 0.79294974, 0.42512991, 0.43199846],
         [-0.04331082, -0.25432608, -0.27381956], [0.17599763, 0.4246635, -0.13604821, -0.07113658]),
    ],
)  # fmt: skip
@torch.no_grad()
def test_gansynths_values(progress, rms, pixels, scores, logits) -> None:
    """Seven blocks of few channels, as written out in numpy in the published form: every block at full resolution."""
    generator, judge = known(GanSynth(**GROWN, latent=8)), known(GanSynthDiscriminator(**GROWN))
    for network in (generator, judge):
        network.train().set_progress(progress)
    z = torch.from_numpy(np.random.RandomState(0).standard_normal((3, 8)))
    image = generator(Condition(z, torch.tensor([0, 3, 1])))
    full = image.repeat_interleave(128 // image.shape[2], 2).repeat_interleave(1024 // image.shape[3], 3)
    assert float(full.square().mean().sqrt()) == pytest.approx(rms, abs=1e-6)
    assert [*full[0, :, 70, 700].tolist(), *full[2, :, 127, 1].tolist()] == pytest.approx(pixels, abs=1e-6)
    output = judge(torch.from_numpy(np.random.RandomState(1).uniform(-1, 1, image.shape)), Condition())
    assert output.score[:, 0].tolist() == pytest.approx(scores, abs=1e-7)
    assert output.logits[0].tolist() == pytest.approx(logits, abs=1e-7)


@torch.no_grad()
def test_every_block_of_gansynth_gives_the_published_shape() -> None:
    """2 x 16 to 128 x 1024, and down again to one pixel; channels are a sixteenth of 256 256 256 256 128 64 32."""
    sizes: dict[str, Any] = {"blocks": 7, "fmap_base": 256, "fmap_max": 16}
    generator, judge = GanSynth(**sizes), GanSynthDiscriminator(**sizes)
    shapes: list[tuple[int, ...]] = []
    for block in (*generator.blocks, *reversed(judge.blocks)):
        block.register_forward_hook(lambda module, given, made: shapes.append(tuple(made.shape[1:])))
    image = generator(Condition(torch.zeros(2, 256), torch.tensor([0, 60])))
    output = judge(image, Condition())
    widths = [16, 16, 16, 16, 8, 4, 2]
    assert shapes[:7] == [(width, 2 << block, 16 << block) for block, width in enumerate(widths)]
    assert shapes[7:] == [*reversed(shapes[:6]), (16, 1, 1)]
    assert image.shape == (2, 2, 128, 1024) and output.score.shape == (2, 1) and output.logits.shape == (2, 61)


def test_an_average_of_weights_decays_as_stated() -> None:
    """After n updates decay^n of the first weights is left: with .999, a half of them after 693; buffers are copied."""
    network = GanSynth(blocks=2, fmap_base=8, fmap_max=2, pitches=(60, 63), latent=2)
    average, first = Ema(network, 0.999), [weight.detach().clone() for weight in network.parameters()]
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(1.0)
    network.set_progress(0.5)
    for updates in (1, 692):
        for _ in range(updates):
            average.update(network)
        gone = 1 - 0.999 ** (1 if updates == 1 else 693)
        moved = [float((now - then).mean()) for now, then in zip(average.shadow.parameters(), first, strict=True)]
        assert moved == pytest.approx([gone] * len(first), rel=1e-4)
    assert gone == pytest.approx(0.5, abs=1e-3) and float(average.shadow.growth.reached) == 0.5


@pytest.mark.skipif(not NOTES, reason="the shared NSynth notes (../shared/audio/nsynth) are not here")
@pytest.mark.parametrize(("hires", "median"), [(True, 85.5), (False, 75.7)])
def test_notes_come_back_as_near_as_measured(hires, median) -> None:
    """Their images' medians of 85.5 dB and 75.7 dB, which the lost DC and tails leave.

    These notes were cut to 16 bits downwards: half a step is given back where they sound, whose DC is lost else.
    """
    notes = torch.stack([torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in NOTES])[:, None]
    notes = notes + (notes != 0) * (0.5 / 32768)
    part = InstantaneousFrequency(segment=64000, hires=hires)
    part.fit(iter([notes]))
    error = (part.decode(part.encode(notes)) - notes).double()
    found = 10 * torch.log10(notes.double().square().sum(2) / error.square().sum(2))
    assert float(found.quantile(0.5)) == pytest.approx(median, abs=0.5)


# crops ------------------------------------------------------------------

SIZES = (
    "audio.n_fft=64", "audio.window=64", "audio.hop=32", "audio.mels=4", "plan.segment=1024", "plan.batch_size=4",
    "plan.workers=0", "generator.dim=2", "discriminators.critic.dim=2", "validation.clips=1", "validation.audio=0",
    "validation.every=1000", "validation.metrics=[]", "metrics=null",
    "corpus={use: folder, validation: 0.0, minimum_validation: 1}",
)  # fmt: skip
#: Of the ramps: shorter than a segment, as long, and longer by 7 samples.
FRAMES = (1000, 1024, 1031)


@pytest.fixture(scope="module")
def ramps(tmp_path_factory) -> Path:
    """The SC09 recipe's data: 12 packed ramps whose 16-bit samples tell clip and place, n in clip c being 2048 c + n."""
    folder = tmp_path_factory.mktemp("ramps")
    (folder / "corpus").mkdir()
    for clip in range(12):
        samples = np.arange(FRAMES[clip % 3], dtype=np.int16) + 2048 * clip + 1
        soundfile.write(folder / "corpus" / f"{clip:02d}.wav", samples, 16000, "PCM_16")
    prepare.prepare(check.load(SC09, SIZES), folder / "corpus", folder / "dump", 1, lambda text: None)
    return folder / "dump"


def places(segments: Segments, index: int, epochs: int) -> list[int]:
    """Where a ramp's crops begin; they are its samples in order, and zeros from its end on."""
    found = []
    for epoch in range(epochs):
        values = (segments[(epoch, index)]["audio"][0] * 32768).int().tolist()
        start = (values[0] - 1) % 2048
        left = min(len(values), segments.packed.entries[index].frames - start)
        assert values == [*range(values[0], values[0] + left), *[0] * (len(values) - left)]
        found.append(start)
    return found


def test_crops_are_ramps_from_every_place_alike_and_end_in_zeros(ramps) -> None:
    """A clip of a segment or less from its start, padded behind; a longer one from 0 to its surplus, each place as often.

    Chi-square of 800 crops at 8 places with 7 degrees of freedom; 24.3 is the quantile of 0.999.
    """
    segments = Segments(Packed(ramps, "train"), 1024, seed=1)
    lengths = [entry.frames for entry in segments.packed.entries]
    assert set(lengths) == set(FRAMES)
    for index, frames in enumerate(lengths):
        if frames <= 1024:
            assert set(places(segments, index, 20)) == {0}
    counts = Counter(places(segments, lengths.index(1031), 800))
    assert sorted(counts) == list(range(8))
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < 24.3


def test_a_clip_is_scaled_by_its_own_peak_wherever_it_is_cropped(ramps) -> None:
    """As the released loader does by file; the recipe leaves levels alone, which is sample / 32768."""
    plain, scaled = (Segments(Packed(ramps, "train", peak), 64, seed=1) for peak in (None, 1.0))
    for index, entry in enumerate(plain.packed.entries):
        peak = (2048 * int(entry.id) + entry.frames) / 32768
        ours, theirs = (segments[(3, index)]["audio"] for segments in (plain, scaled))
        torch.testing.assert_close(theirs, ours / peak, rtol=1e-6, atol=0)
    assert check.load(SC09, SIZES).data.normalise is None


# the loop ---------------------------------------------------------------


def test_every_critic_step_has_a_batch_and_latent_vectors_of_its_own(ramps, tmp_path, monkeypatch) -> None:
    """Ten steps of the SC09 recipe: ten of the critic and two of the generator, which draws once more."""
    trainer = Trainer(Components.build(check.load(SC09, (*SIZES, "plan.steps=10")), tmp_path, ramps))
    seen: list[SimpleNamespace] = []
    stray: list[str] = []
    learn = NetworkOptimiser.learn

    def note(step: Step, turn: str) -> None:
        latent = step.fake_condition.latent
        seen.append(SimpleNamespace(turn=turn, index=step.index, items=step.batch.draws.items, latent=latent,
                                    real=step.real, attached=step.fake.requires_grad))  # fmt: skip

    def check_then_learn(side: NetworkOptimiser, measure: bool) -> Tensor | None:
        other = trainer.components.networks[
            "generator" if side is trainer.components.networks["discriminators"] else "discriminators"
        ]
        stray.extend(name for name, weight in other.network.named_parameters() if weight.grad is not None)
        return learn(side, measure)

    monkeypatch.setattr(trainer, "observers", (note, *trainer.observers))
    monkeypatch.setattr(NetworkOptimiser, "learn", check_then_learn)
    assert trainer.run() == 10 and stray == []
    turns = [(each.turn[0], each.index) for each in seen]
    assert turns == [*[("d", n) for n in range(5)], ("g", 4), *[("d", n) for n in range(5, 10)], ("g", 9)]
    counts = {
        name: {int(s["step"]) for each in side.optimisers.values() for s in each.state.values()}
        for name, side in trainer.components.networks.items()
    }
    assert counts == {"generator": {2}, "discriminators": {10}}
    judged = [each for each in seen if each.turn == "discriminator"]
    assert len({item for each in judged for item in each.items}) == 40
    assert not any(each.attached for each in judged) and all(each.attached for each in seen if each not in judged)
    segments = Segments(trainer.components.clips, 1024, trainer.plan.seed, crop=trainer.plan.crop)
    for each in judged:
        assert torch.equal(each.real, torch.stack([segments[item]["audio"] for item in each.items]))
    drawn = torch.cat([each.latent for each in seen])
    assert drawn.shape == (48, 100) and len({tuple(row) for row in drawn.tolist()}) == 48
    assert -1 <= float(drawn.min()) < -0.99 and 0.99 < float(drawn.max()) < 1


# learning ---------------------------------------------------------------


def peaks(audio: Tensor) -> tuple[Tensor, Tensor]:
    """Of [B, 64]: the frequency of the spectrum's peak [cycles per sample], and the share of power beside it."""
    power = torch.fft.rfft(audio * torch.hann_window(64), 512).abs().square()
    top = power.argmax(1)
    near = (torch.arange(257) - top[:, None]).abs() <= 16  # the window's main lobe
    return top / 512, (power * near).sum(1) / power.sum(1)


def test_wavegan_learns_sines_of_all_frequencies() -> None:
    """d = 4, 64 samples, a thousand sines: the critic's estimate of the distance rises, then falls to less than 0.4 of
    that; what is made lies in all fifths of their range, where nearly nothing was, and is nearer to a tone."""
    small = ("plan.segment=64", "plan.batch_size=32", "generator={use: wavegan, dim: 4, latent: 16}")
    rates = ("optimisers.generator.lr=2e-3", "optimisers.discriminators.lr=2e-3", "discriminators.critic.dim=4")
    recipe = check.load(SC09, (*SIZES, *small, *rates))
    parts: Any = build(recipe, CPU)
    chosen = optimisers(recipe, parts)
    sides = [NetworkOptimiser(parts.generator, parts.generator, chosen["generator"], recipe.plan),
             NetworkOptimiser(parts.discriminators, parts.discriminators, chosen["discriminators"], recipe.plan)]  # fmt: skip
    step = TrainingStep(parts, *sides, recipe.plan, CPU)
    draws = torch.Generator().manual_seed(0)
    pitch = 0.02 + 0.2 * torch.rand(1000, 1, generator=draws)
    phase = 2 * math.pi * torch.rand(1000, 1, generator=draws)
    sines = (0.5 * torch.sin(2 * math.pi * pitch * torch.arange(64) + phase))[:, None]

    @torch.no_grad()
    def made() -> tuple[Tensor, float]:
        clips = parts.generator(Condition(torch.rand(400, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1))
        frequency, share = peaks(clips[:, 0])
        return torch.histc(frequency, 5, 0.02, 0.22) / 400, float(share.median())

    logs: list[dict[str, Tensor]] = []
    before = made()
    for index in range(1000):
        picks = torch.randint(1000, (32,), generator=draws)
        batch = Batch(sines[picks], ("sine",) * 32, Draws(0, [(index, int(pick)) for pick in picks]))
        logs.append(step(index, [batch]))
    smooth = np.convolve([-float(row["discriminator/adversarial.critic"]) for row in logs], np.ones(100) / 100, "valid")
    assert smooth[-1] < 0.4 * smooth.max() and smooth.max() > 3 * smooth[0]
    # Slopes within some 0.2 of 1, without which the estimate is no distance.
    assert np.mean([float(row["discriminator/regularisers.gradient_penalty"]) for row in logs[-100:]]) < 0.05
    (cells, share), (cells_before, share_before) = made(), before
    assert float(cells.sum()) > 0.9 and float(cells.min()) > 0.02 and float(cells_before.sum()) < 0.5
    assert share > 0.4 and share > 1.3 * share_before
