"""Perturbed crops: drawn per clip, epoch and name, of the length asked for, aligned with what is degraded of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from gansemble.data import prepare
from gansemble.data.degraded import Degrader
from gansemble.data.packed import Packed
from gansemble.data.perturbed import Chance, Perturber
from gansemble.data.segments import Segments, collate
from gansemble.errors import DataError
from gansemble.parts.build import degrader, perturber
from gansemble.recipe import check

RATE, SEGMENT = 44100, 2048
#: Lengths of the clips [samples]: shorter than a crop, hardly longer, and long.
FRAMES = (1500, 2200, 30000, 30000, 30000)
CONF = """
audio: {sample_rate: 44100, n_fft: 512, hop: 128, window: 512, mels: 20, fmin: 0, fmax: null}
corpus: {use: folder, validation: 0.0, minimum_validation: 1}
data: {normalise: 0.5, short: pad}
generator: {use: vocos, dim: 12, hidden: 16, blocks: 1}
losses: {time: {use: waveform_l2}}
plan: {steps: 2, batch_size: 2, segment: 2048}
validation: {metrics: []}
optimisers: {generator: {use: adamw}}
"""
ALL = """
perturbations:
  speed: {use: speed, factors: [0.8, 1.25]}
  shift: {use: pitch}
  filter: {use: random_filter, shapes: [low_shelf, high_shelf, peak, band_pass]}
  noise: {use: additive_noise, colours: [white, pink]}
  level: {use: random_gain, gain: [-12, 12]}
  sign: {use: random_polarity}
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """Ramps with noise, at the recipe's level."""
    folder = tmp_path_factory.mktemp("perturbed")
    (folder / "data").mkdir()
    source = np.random.default_rng(0)
    for number, frames in enumerate((*FRAMES, 4000)):
        audio = 0.2 * source.standard_normal(frames) + np.linspace(0, 0.1, frames)
        soundfile.write(folder / "data" / f"clip{number}.wav", audio, RATE)
    (folder / "r.yaml").write_text(CONF)
    recipe = check.load(folder / "r.yaml")
    prepare.prepare(recipe, folder / "data", folder / "dump", 1, lambda line: None)
    return Packed(folder / "dump", "train", recipe.data.normalise)


def index_of(clips: Packed, least: int) -> int:
    return next(number for number, entry in enumerate(clips.entries) if entry.frames >= least)


def segments(clips: Packed, text: str, tmp_path: Path, **options: Any) -> Segments:
    (tmp_path / "p.yaml").write_text(CONF + text)
    made = perturber(check.load(tmp_path / "p.yaml"))
    return Segments(clips, SEGMENT, 7, perturber=made, **options)


class Reads:
    """Tells what it was given, and returns its middle."""

    def __init__(self, margin: int = 0) -> None:
        self.margin, self.given = margin, []

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        self.given.append(audio.copy())
        return audio[self.margin : len(audio) - self.margin]


class Every(Reads):
    """Every n-th sample."""

    def __init__(self, n: int, margin: int = 0) -> None:
        super().__init__(margin)
        self.n = n

    def reads(self, length: int, rng: np.random.Generator) -> int:
        return self.n * length

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return super().__call__(audio, rng)[:: self.n]


class Adds:
    """Adds a constant that it draws."""

    margin = 0

    def __init__(self) -> None:
        self.drawn: list[float] = []

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        self.drawn.append(rng.random())
        return audio + np.float32(self.drawn[-1])


def perturb(*parts: Any, probability: float = 1.0, seed: int = 7) -> Perturber:
    return Perturber({f"p{number}": Chance(part, probability) for number, part in enumerate(parts)}, seed)


def test_every_kind_of_clip_gives_a_crop_of_the_segments_length(clips, tmp_path):
    """Padded clips and clips hardly longer than a crop, at 44.1 kHz, with a level of their own."""
    made = segments(clips, ALL, tmp_path)
    for index in range(len(clips)):
        for epoch in range(3):
            audio = made[(epoch, index)]["audio"]
            assert audio.shape == (1, SEGMENT) and audio.dtype == torch.float32 and torch.isfinite(audio).all()
            assert torch.equal(audio, made[(epoch, index)]["audio"])
    assert not torch.equal(made[(0, 2)]["audio"], made[(1, 2)]["audio"])


def test_loading_processes_change_nothing(clips, tmp_path):
    batches = []
    for workers in (0, 2):
        sampler = [[(0, 0), (0, 1)], [(1, 2), (1, 0)], [(2, 3), (0, 3)]]
        loader = torch.utils.data.DataLoader(
            segments(clips, ALL, tmp_path), batch_sampler=sampler, collate_fn=collate, num_workers=workers
        )
        batches.append([batch["audio"] for batch in loader])
    assert len(batches[0]) == 3 and all(torch.equal(one, other) for one, other in zip(*batches, strict=True))


def test_without_perturbations_or_chances_crops_are_as_they_were(clips, tmp_path):
    plain = Segments(clips, SEGMENT, 7)
    never = segments(clips, "perturbations: {level: {use: speed, probability: 0}}", tmp_path)
    for index in range(len(clips)):
        assert torch.equal(plain[(3, index)]["audio"], never[(3, index)]["audio"])
    assert segments(clips, "", tmp_path).perturber is None


def test_each_goes_with_its_own_probability(clips, tmp_path):
    made = segments(
        clips, "perturbations: {one: {use: random_gain, probability: 0.25}, two: {use: random_polarity}}", tmp_path
    ).perturber
    chosen = [[name for name, _ in made.change(clips, 0, epoch).parts] for epoch in range(400)]
    assert 70 <= sum(names == ["one", "two"] for names in chosen) <= 130  # 100 +- 3.5 deviations of 8.7
    assert all(names in (["two"], ["one", "two"]) for names in chosen)


def test_the_chances_of_two_are_drawn_apart(clips):
    made = perturb(Reads(), Reads(), probability=0.5)
    changes = [made.change(clips, 0, epoch) for epoch in range(400)]
    counts = [sum((len(change.parts) if change else 0) == count for change in changes) for count in (0, 1, 2)]
    assert 65 <= counts[0] <= 135 and 160 <= counts[1] <= 240 and 65 <= counts[2] <= 135


def test_draws_are_keyed_by_seed_epoch_clip_and_name(clips):
    part = Adds()
    for seed, epoch, index in ((7, 0, 2), (7, 0, 2), (8, 0, 2), (7, 1, 2), (7, 0, 3)):
        perturb(part, seed=seed).change(clips, index, epoch).crop(0, 10)
    first, again, *others = part.drawn
    assert first == again and len({first, *others}) == 4
    part.drawn.clear()
    perturb(part, part).change(clips, 2, 0).crop(0, 10)
    assert part.drawn[0] == first and part.drawn[1] not in (first, *others)


def test_they_are_applied_in_order_each_with_its_margin_and_what_it_reads(clips):
    """The margins of the later one are made by the earlier one, of the recording around the crop."""
    inner, outer = Every(2, margin=5), Every(3, margin=40)
    index = index_of(clips, 20000)
    made = perturb(inner, outer).change(clips, index, 0)
    start, length = 4000, 100
    assert made.reads(length) == 2 * 3 * length
    crop = made.crop(start, length)
    assert np.array_equal(crop, clips.read(index, start, 6 * length)[::6])
    assert len(outer.given[0]) == 40 + 300 + 40 and len(inner.given[0]) == 5 + 2 * 380 + 5
    assert np.array_equal(inner.given[0], clips.read(index, start - 85, 770))
    wide = made.crop(start, length, around=7)
    assert len(wide) == 114 and np.array_equal(wide[7:107], crop)


def test_what_the_first_one_reads_is_for_what_the_second_one_reads(clips):
    late = Reads()
    late.reads = lambda length, rng: length + 100  # type: ignore[attr-defined]
    assert perturb(late, Every(2)).change(clips, 2, 0).reads(1000) == 2100
    assert perturb(Every(2), late).change(clips, 2, 0).reads(1000) == 2200


def test_a_clip_without_a_degraded_recording_is_told(clips):
    with pytest.raises(DataError, match="was packed without a degraded recording; prepare again"):
        perturb(Reads()).change(clips, 2, 0).crop(0, 10, degraded=True)


@pytest.mark.parametrize("index", [0, 1])
def test_beyond_both_ends_of_the_clip_are_zeros(clips, index):
    part = Reads(margin=300)
    frames = clips.entries[index].frames
    crop = perturb(part).change(clips, index, 0).crop(0, SEGMENT)
    (given,) = part.given
    assert np.array_equal(given[300 : 300 + frames], clips.read(index)[: SEGMENT + 300])
    assert not given[:300].any() and not given[300 + frames :].any() and len(given) == SEGMENT + 600
    assert np.array_equal(crop, clips.read(index, 0, SEGMENT))


def test_crops_leave_room_for_what_is_read(clips):
    """A crop that reads four times its length begins where it ends within the clip, and may reach its last sample."""
    index = index_of(clips, 20000)
    frames, part = clips.entries[index].frames, Every(4)
    made = Segments(clips, SEGMENT, 7, perturber=perturb(part))
    whole = clips.read(index)
    starts = []
    for epoch in range(60):
        given = made[(epoch, index)] and part.given[-1]
        places = np.flatnonzero(whole == given[0])
        starts += [int(place) for place in places if np.array_equal(given, whole[place : place + 4 * SEGMENT])]
        assert len(starts) == epoch + 1
    assert min(starts) < 1500 and frames - 4 * SEGMENT - 1500 < max(starts) <= frames - 4 * SEGMENT
    fixed = Segments(clips, SEGMENT, 7, crop="start", perturber=perturb(part))
    assert np.array_equal(fixed[(5, index)]["audio"][0].numpy(), whole[: 4 * SEGMENT : 4])


def test_a_crop_at_a_clips_start_begins_there_at_any_speed(clips, tmp_path):
    """Also where a filter behind it reads on both sides."""
    audio = np.zeros(30000, np.int16)
    audio[0] = 30000
    index = index_of(clips, 20000)
    click = clips.without(())
    click.read = (
        lambda i, start=0, length=None, *, degraded=False: np.pad(  # type: ignore[method-assign]
            audio[start : start + length] / np.float32(32768), (0, max(0, start + length - 30000))
        )
    )
    made = segments(click, "perturbations: {s: {use: speed, factors: [0.5, 2]}, f: {use: random_filter}}", tmp_path)
    made.crop = "start"
    for epoch in range(6):
        assert int(made[(epoch, index)]["audio"].abs().argmax()) <= 1


class Doubles:
    """A degradation that tells what it was given."""

    margin = 50

    def __init__(self) -> None:
        self.given: list[np.ndarray] = []

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        self.given.append(audio.copy())
        return 2 * np.convolve(audio, [0, 0, 1], "same").astype(np.float32)


def test_what_is_degraded_is_the_perturbed_crop_with_its_margin(clips):
    index, doubles = index_of(clips, 20000), Doubles()
    made = Segments(clips, SEGMENT, 7, degrader=Degrader(doubles, 7), perturber=perturb(Every(2), Adds()))
    item = made[(0, index)]
    audio, degraded = item["audio"][0].numpy(), item["signals"]["degraded"][0].numpy()
    (given,) = doubles.given
    assert np.array_equal(given[50 : 50 + SEGMENT], audio) and len(given) == SEGMENT + 100
    assert np.array_equal(degraded, 2 * given[49 : 49 + SEGMENT])


def test_one_that_is_degraded_is_so_with_the_draws_that_it_has_unperturbed(clips, tmp_path):
    (tmp_path / "e.yaml").write_text(
        CONF.replace(
            "{use: vocos, dim: 12, hidden: 16, blocks: 1}", "{use: inception_unet, blocks: 3, widths: [4, 4, 2, 2]}"
        )
        + "degradation: {use: low_pass, cutoff: [1500, 5000]}\n"
    )
    made, index = degrader(check.load(tmp_path / "e.yaml")), index_of(clips, 20000)
    plain = Segments(clips, SEGMENT, 7, degrader=made, crop="start")[(0, index)]
    same = Segments(clips, SEGMENT, 7, degrader=made, crop="start", perturber=perturb(Reads()))[(0, index)]
    assert torch.equal(plain["audio"], same["audio"])
    assert (plain["signals"]["degraded"] - same["signals"]["degraded"]).abs().max() < 1e-5


class Fails:
    margin = 0

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        raise RuntimeError("no such wave")


def giving(made: Any, margin: Any = 0, reads: Any = None) -> Any:
    """A perturbation that returns ``made`` of its audio."""

    class Gives:
        def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            return made(audio)

    if reads is not None:
        Gives.reads = lambda self, length, rng: reads(length)  # type: ignore[attr-defined]
    part = Gives()
    part.margin = margin  # type: ignore[attr-defined]
    return part


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (Fails(), r"fails \(RuntimeError: no such wave\); change its parameters, take it out, or tell its author"),
        (giving(lambda x: x[1:]), r"must return at least 2048 samples of the 2048 that it was given .*, got 2047"),
        (giving(lambda x: x / 0), "makes NaN or Inf"),
        (giving(lambda x: x.astype(np.float64) * 1e300), "makes NaN or Inf"),
        (giving(lambda x: x[None]), r"must return a float array \[T\], got float32 \[1, 2048\]"),
        (giving(lambda x: (x * 100).astype(np.int16)), r"must return a float array \[T\], got int16 \[2048\]"),
        (giving(list), r"must return a float array \[T\], got list"),
        (giving(lambda x: x, margin=-1), "must have a margin that is a number of samples, got -1"),
        (giving(lambda x: x, margin=0.5), "must have a margin that is a number of samples, got 0.5"),
        (giving(lambda x: x, reads=lambda n: -n), r"must say by reads\(2048\) how many samples it reads, got -2048"),
        (giving(lambda x: x, reads=lambda n: n / 0), r"fails \(ZeroDivisionError"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_goes_wrong_names_the_part_and_the_clip(clips, part, told):
    made = Segments(clips, SEGMENT, 7, perturber=Perturber({"mine": Chance(part)}, 7))
    index = index_of(clips, 20000)
    with pytest.raises(DataError, match=told) as caught:
        made[(4, index)]
    name = type(part).__name__
    assert str(caught.value).startswith(f"perturbations.mine ({name}), at clip {clips.entries[index].id} in epoch 4, ")


def test_a_part_that_returns_its_own_array_again_does_no_harm(clips):
    buffer = np.zeros(SEGMENT, np.float32)

    def fill(audio: np.ndarray) -> np.ndarray:
        buffer[:] = audio[0]
        return buffer

    made = Segments(clips, SEGMENT, 7, perturber=perturb(giving(fill)))
    one = made[(0, 2)]["audio"]
    kept = one.clone()
    assert not torch.equal(made[(0, 3)]["audio"], one) and torch.equal(one, kept)


def test_crops_may_go_beyond_full_scale_and_follow_the_level_policy(clips, tmp_path):
    text = "perturbations: {level: {use: random_gain, gain: [40, 40]}}"
    made, plain = segments(clips, text, tmp_path), Segments(clips, SEGMENT, 7)
    louder, before = made[(0, 2)]["audio"], plain[(0, 2)]["audio"]
    assert torch.allclose(louder, 100 * before) and louder.abs().max() > 1 and before.abs().max() <= 0.5


PAIRS = CONF.replace(
    "corpus: {use: folder, validation: 0.0, minimum_validation: 1}", "corpus: {use: pairs, validation: 0.3}"
)
PAIRS = PAIRS.replace(
    "{use: vocos, dim: 12, hidden: 16, blocks: 1}", "{use: inception_unet, blocks: 3, widths: [4, 4, 2, 2]}"
)


def test_recorded_pairs_go_through_the_same_with_the_same_draws(tmp_path):
    text = "perturbations: {level: {use: random_gain, gain: [-20, 20]}, sign: {use: random_polarity}}\n"
    (tmp_path / "r.yaml").write_text(PAIRS.replace("sample_rate: 44100", "sample_rate: 22050") + text)
    recipe = check.load(tmp_path / "r.yaml", ("corpus.mini_rate=22050",))
    prepare.corpus_of(recipe).mini(tmp_path / "data")
    prepare.prepare(recipe, tmp_path / "data", tmp_path / "dump", 1, lambda line: None)
    clips = Packed(tmp_path / "dump", "train", recipe.data.normalise)
    made = Segments(clips, SEGMENT, 7, degrader=degrader(recipe), perturber=perturber(recipe))
    plain = Segments(clips, SEGMENT, 7, degrader=degrader(recipe))
    factors = []
    for epoch in range(8):
        now, before = made[(epoch, 0)], plain[(epoch, 0)]
        factors.append(float((now["audio"] * before["audio"]).sum() / before["audio"].square().sum()))
        assert torch.allclose(now["signals"]["degraded"], factors[-1] * before["signals"]["degraded"], atol=1e-5)
    assert len({round(factor, 4) for factor in factors}) == 8 and min(factors) < 0 < max(factors)
