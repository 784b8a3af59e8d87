"""Degraded clips: drawn per clip and epoch, equal to the whole recording's, whatever the workers; pairs of recordings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from gansemble.data import doctor, prepare
from gansemble.data.degraded import Degrader
from gansemble.data.manifest import Clip
from gansemble.data.packed import Packed
from gansemble.data.segments import Segments, collate
from gansemble.errors import DataError, PartError
from gansemble.parts.build import degrader
from gansemble.recipe import check, schema

RATE = 22050
CONF = """
audio: {sample_rate: 22050, n_fft: 512, hop: 128, window: 512, mels: 20, fmin: 0, fmax: null}
corpus: {use: folder, validation: 0.2}
data: {normalise: 0.5}
degradation: {use: low_pass, families: [cheby1, butter, bessel], orders: [2, 8], ripples: [0.05], cutoff: [1500, 5000]}
generator: {use: inception_unet, blocks: 3, widths: [4, 4, 2, 2], kernels: [3, 5, 7, 9]}
losses: {time: {use: waveform_l2}}
plan: {steps: 2, batch_size: 2, segment: 4096}
validation: {metrics: []}
optimisers: {generator: {use: adamw}}
"""
PAIRS = CONF.replace(
    "corpus: {use: folder, validation: 0.2}", "corpus: {use: pairs, validation: 0.3, mini_rate: 22050}"
)
PAIRS = "\n".join(line for line in PAIRS.splitlines() if not line.startswith("degradation"))


def prepared(folder: Path, text: str) -> tuple[schema.Recipe, Packed]:
    (folder / "r.yaml").write_text(text)
    recipe = check.load(folder / "r.yaml")
    if not (folder / "data").exists():
        prepare.corpus_of(recipe).mini(folder / "data")
    prepare.prepare(recipe, folder / "data", folder / "dump", 1, lambda line: None)
    return recipe, Packed(folder / "dump", "train", recipe.data.normalise)


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> tuple[schema.Recipe, Packed]:
    return prepared(tmp_path_factory.mktemp("degraded"), CONF)


def test_a_crop_is_that_of_the_whole_recording(packed):
    recipe, clips = packed
    made = degrader(recipe)
    whole = made.crop(clips, 0, 0, clips.entries[0].frames, 3)
    for start in (0, 1000, 9000, 15000):
        assert np.abs(made.crop(clips, 0, start, 4096, 3) - whole[start : start + 4096]).max() < 1e-4
    assert np.abs(whole - clips.read(0)).max() > 1e-3


def test_every_clip_and_epoch_has_a_filter_of_its_own_and_keeps_it(packed):
    recipe, clips = packed
    made = degrader(recipe)
    crops = [made.crop(clips, index, 0, 4096, epoch) for index in (0, 1) for epoch in (0, 1)]
    again = [made.crop(clips, index, 0, 4096, epoch) for index in (0, 1) for epoch in (0, 1)]
    assert all(np.array_equal(one, other) for one, other in zip(crops, again, strict=True))
    assert not np.allclose(crops[0], crops[1], atol=1e-4)
    assert not np.array_equal(crops[0], Degrader(made.degradation, 99).crop(clips, 0, 0, 4096, 0))


def test_beyond_its_end_a_clip_is_silent(packed):
    recipe, clips = packed
    frames = clips.entries[0].frames
    made = degrader(recipe).crop(clips, 0, frames - 100, 4096, 0)
    assert len(made) == 4096 and not made[100:].any()


def test_loading_processes_change_nothing(packed):
    recipe, clips = packed
    batches = []
    for workers in (0, 2):
        segments = Segments(clips, 4096, 7, degrader=degrader(recipe))
        sampler = [[(0, 0), (0, 1)], [(1, 2), (1, 0)]]
        loader = torch.utils.data.DataLoader(segments, batch_sampler=sampler, collate_fn=collate, num_workers=workers)
        batches.append([batch["signals"]["degraded"] for batch in loader])
    assert all(torch.equal(one, other) for one, other in zip(*batches, strict=True))
    assert batches[0][0].shape == (2, 1, 4096)


@pytest.mark.parametrize(
    ("makes", "said"),
    [
        (
            lambda audio: audio[1:],
            r"\(Odd\), .* must return as many samples as it is given, \[4096\], got float32 \[4095\]",
        ),
        (lambda audio: audio / 0, r"\(Odd\), .* makes NaN or Inf"),
        (lambda audio: audio.nothing, r"degradation \(Odd\), at clip 0 in epoch 0, failed: AttributeError: "),
        (lambda audio: "text", r"degradation \(Odd\), .* failed: ValueError: "),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_degradation_that_fails_or_shortens_is_named(packed, makes, said):
    class Odd:
        margin = 0

        def __call__(self, audio, rng):
            return makes(audio)

    with pytest.raises(PartError, match=said):
        Degrader(Odd(), 0).crop(packed[1], 0, 0, 4096, 0)


def test_pairs_are_read_from_their_recordings(tmp_path):
    """At the level of the clip's own scaling, sample by sample in time."""
    recipe, clips = prepared(tmp_path, PAIRS)
    made, entry = degrader(recipe), clips.entries[0]
    low, _ = soundfile.read(tmp_path / "data" / entry.path.replace("high", "low", 1), dtype="float32")
    crop = made.crop(clips, 0, 100, 4096, 0)
    assert np.abs(crop - low[100:4196] * 0.5 / entry.peak).max() < 1e-3
    rows = [json.loads(line) for line in (tmp_path / "dump" / "manifest.jsonl").read_text().splitlines()[1:]]
    assert all(row["partner"] == row["offset"] + row["frames"] for row in rows)
    (pack,) = (tmp_path / "dump").glob("audio-*.i16")
    assert pack.stat().st_size == 4 * sum(row["frames"] for row in rows)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda x: (x[:-10], RATE), r"lasts 0\.\d+ s|lasts \d"),
        (lambda x: (np.stack([x, x], 1), RATE), "has 2 channels"),
        (lambda x: (x, 44100), "is at 44100 Hz, not at 22050 Hz"),
    ],
)
def test_a_recording_that_does_not_go_with_its_clip_stops_the_preparation(tmp_path, change, told):
    prepared(tmp_path, PAIRS)
    path = sorted((tmp_path / "data" / "low").rglob("*.wav"))[0]
    audio, _ = soundfile.read(path, dtype="float32")
    changed, rate = change(audio)
    soundfile.write(path, changed, rate)
    with pytest.raises(
        DataError, match=r"1 degraded recordings do not go with their clips; nothing was packed"
    ) as caught:
        prepare.prepare(check.load(tmp_path / "r.yaml"), tmp_path / "data", tmp_path / "again", 1, lambda line: None)
    import re

    assert re.search(told, str(caught.value)) and str(path) in str(caught.value)


@pytest.mark.slow
def test_pairs_whose_recording_is_broken_are_left_out_if_the_recipe_says_so(tmp_path):
    prepared(tmp_path, PAIRS)
    lows = sorted((tmp_path / "data" / "low").rglob("*.wav"))
    lows[0].write_bytes(lows[0].read_bytes()[:2000])
    recipe = check.load(tmp_path / "r.yaml", ("data.broken=drop",))
    said: list[str] = []
    manifest = prepare.prepare(recipe, tmp_path / "data", tmp_path / "again", 2, said.append)
    assert len(manifest.read_text().splitlines()) == len(lows)  # a line for each but one, and the header
    (line,) = (line for line in said if "left out" in line)
    assert f"1 of {len(lows)} degraded recordings are broken" in line and str(lows[0]) in line
    with pytest.raises(DataError, match=r"take both files of the pair away, or set data\.broken=drop"):
        prepare.prepare(check.load(tmp_path / "r.yaml"), tmp_path / "data", tmp_path / "third", 1, lambda line: None)
    for low in lows:
        low.write_bytes(b"")
    with pytest.raises(DataError, match="left no pair; nothing was packed"):
        prepare.prepare(recipe, tmp_path / "data", tmp_path / "fourth", 1, lambda line: None)


def test_cuts_of_one_recording_in_two_splits_are_found(tmp_path):
    rng, clips = np.random.default_rng(0), []
    for index, (recording, split) in enumerate((("a", "train"), ("a", "test"), ("b", "train"), ("b", "train"))):
        soundfile.write(tmp_path / f"{index}.wav", 0.1 * rng.standard_normal(RATE), RATE)
        clips.append(Clip(f"{index}", f"{index}.wav", split, {"recording": recording}))
    found = doctor.examine(tmp_path, clips, sample_rate=RATE, segment=None, jobs=1).findings
    (finding,) = (each for each in found if each.code == "recording")
    assert finding.severity == "error" and finding.ids == ("0", "1")
    assert "such as 'a' in test and train" in finding.message


def test_a_recipe_has_one_source_of_degraded_clips(tmp_path):
    from gansemble.recipe.document import RecipeError

    (tmp_path / "none.yaml").write_text(PAIRS.replace("use: pairs, validation: 0.3, mini_rate: 22050", "use: folder"))
    with pytest.raises(RecipeError, match="needs degraded, but this recipe has no degradation"):
        check.load(tmp_path / "none.yaml")
    (tmp_path / "two.yaml").write_text(PAIRS + "\ndegradation: {use: low_pass, cutoff: [2000, 2000]}\n")
    with pytest.raises(RecipeError, match="has degraded recordings of its own"):
        check.load(tmp_path / "two.yaml")


def test_a_baseline_learns_nothing_and_reads_degraded_clips(tmp_path):
    from gansemble.recipe.document import RecipeError

    wrong = (
        CONF + "baselines:\n  net: {use: inception_unet, blocks: 2}\n  mel: {use: vocos}\n  input: {use: identity}\n"
    )
    (tmp_path / "r.yaml").write_text(wrong)
    with pytest.raises(RecipeError) as caught:
        check.load(tmp_path / "r.yaml")
    told = [str(problem) for problem in caught.value.problems]
    assert len(told) == 2 and all(
        "a baseline learns nothing and reads degraded, as the generator does" in t for t in told
    )


def test_a_metrics_cutoff_lies_within_the_band(tmp_path):
    from gansemble.recipe.document import RecipeError

    text = CONF.replace(
        "validation: {metrics: []}", "metrics: {hf: {use: lsd_hf, cutoff: 12000}}\nvalidation: {metrics: []}"
    )
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError, match="cutoff must be below half the sample rate, which is 11025 Hz, got 12000 Hz"):
        check.load(tmp_path / "r.yaml")


def test_crops_may_begin_where_clips_do(packed):
    """As notes and hits want it; else anywhere."""
    clips = packed[1]
    starts = [Segments(clips, 4096, 7, crop="start")[(epoch, 0)]["audio"][0].numpy() for epoch in range(4)]
    assert all(np.array_equal(each, clips.read(0, 0, 4096)) for each in starts)
    others = [Segments(clips, 4096, 7)[(epoch, 0)]["audio"][0].numpy() for epoch in range(4)]
    assert len({each.tobytes() for each in others}) > 1
