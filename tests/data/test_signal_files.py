"""Conditioning signals in files: how they are found, packed, aligned with their clips, and refused."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.data import manifest, mel_scale, prepare, signal_files, verification
from gansemble.data.given import GivenSignals
from gansemble.data.packed import Packed
from gansemble.data.segments import Segments, collate
from gansemble.errors import DataError, TrainingError
from gansemble.recipe import check
from gansemble.recipe.document import RecipeError
from gansemble.training import demands

SPEC = AudioSpec()
HOP, RATE = SPEC.hop, SPEC.sample_rate
LENGTHS = {"one": 40 * HOP, "two": 43 * HOP + 17, "three": 30 * HOP}  # [samples]
UNITS = "{use: unit_hifigan, channels: 16, upsample_rates: [16, 16], upsample_kernels: [32, 32], kernels: [3], dilations: [[1]], %s}"
RECIPE = """
corpus: {use: folder, validation: 0.3}
data: {normalise: null%s}
generator: %s
losses: {mel: {use: mel_l1, weight: 45}}
metrics: {mel_distance: {use: mel_distance}}
plan: {steps: 2, segment: 4096, batch_size: 2}
optimisers: {generator: {use: adamw}}
"""
VOCODER = UNITS.replace("unit_hifigan", "hifigan") % "residual: '2'"


def sound(name: str) -> np.ndarray:
    time = np.arange(LENGTHS[name]) / RATE
    pitch = 150 + 50 * list(LENGTHS).index(name)
    wave = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 20))
    return (0.2 * wave * (0.3 + 0.7 * np.sin(2 * np.pi * 3 * time) ** 2)).astype(np.float32)


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in LENGTHS:
        soundfile.write(folder / f"{name}.wav", sound(name), RATE)
    return folder


@pytest.fixture
def write(corpus):
    """``write("codes", one=array, ...)`` saves a signal's files in the corpus."""

    def save(signal: str, **arrays: np.ndarray) -> None:
        (corpus / signal).mkdir(exist_ok=True)
        for name, array in arrays.items():
            np.save(corpus / signal / f"{name}.npy", array)

    return save


@pytest.fixture
def prepared(tmp_path, corpus):
    """``prepared(data, generator, *overrides)`` packs the corpus: (recipe, dump, lines that were said)."""

    def run(data: str = "", generator: str = VOCODER, *overrides: str):
        path = tmp_path / "recipe.yaml"
        path.write_text(RECIPE % (f", {data}" if data else "", generator))
        recipe, said = check.load(path, overrides), []
        prepare.prepare(recipe, corpus, tmp_path / "dump", 1, said.append)
        return recipe, tmp_path / "dump", said

    return run


def frames(name: str) -> int:
    return LENGTHS[name] // HOP


def ramp(count: int, channels: int = 1, first: int = 0) -> np.ndarray:
    """Codes that tell their own frame: frame k of channel c holds first + k + 100 c."""
    return first + np.arange(count) + 100 * np.arange(channels)[:, None]


def mels() -> dict[str, np.ndarray]:
    return {name: log_mel(torch.from_numpy(sound(name))[None, None], SPEC)[0].numpy() for name in LENGTHS}


CODES = "signals: {codes: codes}"
TWO_CODES = UNITS % "codebooks: 2, size: 256"


def test_a_signal_is_packed_with_its_clip_and_read_frame_by_frame(prepared, write):
    write("codes", **{name: ramp(frames(name), 2) for name in LENGTHS})
    _, dump, said = prepared(CODES, TWO_CODES)
    assert "signal codes: 2 channels, 3 clips" in said
    for split in ("train", "validation"):
        packed = Packed(dump, split)
        for index, entry in enumerate(packed.entries):
            whole = packed.signal(index, "codes", 0, frames(entry.id))
            assert whole.dtype == np.float32 and np.array_equal(whole, ramp(frames(entry.id), 2))
            assert np.array_equal(packed.signal(index, "codes", 7, 5), ramp(frames(entry.id), 2)[:, 7:12])


@pytest.mark.parametrize("difference", [-2, -1, 1, 2])
def test_lengths_off_by_two_frames_are_aligned_and_counted(prepared, write, difference):
    write("codes", one=ramp(frames("one") + difference), two=ramp(frames("two")), three=ramp(frames("three")))
    _, dump, said = prepared(CODES, UNITS % "size: 256")
    assert any(f"aligned: 1 of {difference:+d}" in line for line in said)
    packed = next(p for p in (Packed(dump, "train"), Packed(dump, "validation")) if "one" in [e.id for e in p.entries])
    index = [entry.id for entry in packed.entries].index("one")
    end = packed.signal(index, "codes", frames("one") - 4, 4)[0]
    last = frames("one") - 1
    wanted = {-2: [-3, -2, -2, -2], -1: [-3, -2, -1, -1]}.get(difference, [-3, -2, -1, 0])
    assert (end - last).tolist() == wanted


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (ramp(43), "has 43 frames, expected 40 (up to 2 more or fewer)"),
        (ramp(37), "has 37 frames, expected 40"),
        (ramp(80), "it has a frame for each 128.0 samples. Make it with a hop of 256"),
        (np.zeros((40, 3)), "it is transposed: save it as [channels, frames]"),
        (np.array([[0.0] * 39 + [np.nan]]), "holds NaN or infinity"),
        (np.zeros((2, 2, 40)), "must be numbers [C, L] or [L], got float64 [2, 2, 40]"),
        (np.array(["a"] * 40), "must be numbers"),
        (np.zeros((0,)), "is empty"),
        (ramp(40, first=250), "holds numbers from 250 to 289; the recipe's generator reads whole numbers from 0 to 255"),
        (ramp(40, first=-1), "holds numbers from -1 to 38"),
        (ramp(40) + 0.5, "holds fractions from 0.5 to 39.5"),
        (np.full((1, 40), 1 << 25), "whole numbers beyond 16,777,216, which float32 cannot tell apart"),
        (ramp(40, 2), "channels, but"),
    ],
)  # fmt: skip
def test_a_signal_that_does_not_fit_its_clip_is_refused_with_its_file(prepared, write, array, said):
    write("codes", one=array, two=ramp(frames("two")), three=ramp(frames("three")))
    with pytest.raises(DataError) as error:
        prepared(CODES, UNITS % "size: 256")
    assert said in str(error.value) and ".npy" in str(error.value)


def test_no_file_of_a_refused_signal_is_left(prepared, write, tmp_path):
    write("codes", one=ramp(80), two=ramp(frames("two")), three=ramp(frames("three")))
    with pytest.raises(DataError):
        prepared(CODES, UNITS % "size: 256")
    assert not list((tmp_path / "dump").glob("*signals*"))


def test_clips_without_a_file_are_named_or_left_out_when_asked(prepared, write):
    write("codes", one=ramp(frames("one")), two=ramp(frames("two")), four=ramp(9))
    with pytest.raises(
        DataError, match=r"data.signals.codes: 1 of 3 clips have no file in .*, such as three; expected three.npy"
    ):
        prepared(CODES, UNITS % "size: 256")
    _, dump, said = prepared(f"{CODES}, broken: drop", UNITS % "size: 256")
    assert sorted(entry.id for entry in manifest.read(dump / manifest.MANIFEST)) == ["one", "two"]
    assert any("1 clips without codes (three)" in line for line in said)
    assert any("1 files in" in line and "belong to no clip of the corpus (four.npy)" in line for line in said)


def test_a_folder_that_is_not_there_is_named(prepared, write):
    with pytest.raises(DataError, match=r"data.signals.codes: .*codes: no such folder; expected one with a .npy file"):
        prepared(CODES, UNITS % "size: 256")


def test_an_embedding_holds_for_the_whole_clip_and_may_be_of_its_label(prepared, write, corpus):
    write("codes", **{name: ramp(frames(name)) for name in LENGTHS})
    write("voices", **{name: np.arange(3) + 10 * index for index, name in enumerate(LENGTHS)})
    generator = UNITS % "size: 256, speaker: 3"
    _, dump, said = prepared(f"{CODES}, embeddings: {{speaker: voices}}", generator)
    assert "signal speaker: a vector of 3 for each clip" in said
    packed = Packed(dump, "train")
    for index, entry in enumerate(packed.entries):
        vector = np.arange(3) + 10 * list(LENGTHS).index(entry.id)
        assert np.array_equal(packed.signal(index, "speaker", 5, 4), np.repeat(vector[:, None], 4, 1))
    write("voices", one=np.zeros((3, 2)))
    with pytest.raises(DataError, match=r"the embedding speaker must be one vector \[C\], got \[3, 2\]"):
        prepared(f"{CODES}, embeddings: {{speaker: voices}}", generator)


def test_crops_begin_at_frames_and_bring_their_stretch_of_a_signal(prepared, write):
    write("codes", **{name: ramp(frames(name)) for name in LENGTHS})
    recipe, dump, _ = prepared(CODES, UNITS % "size: 256")
    given = GivenSignals.of_recipe(recipe)
    assert given.names == ("codes",) and given.hop == HOP
    packed = Packed(dump, "train", None)
    starts = set()
    for epoch in range(12):
        items = [Segments(packed, 4096, 3, given=given)[(epoch, index)] for index in range(len(packed))]
        for index, item in enumerate(items):
            first = int(item["given"]["codes"][0, 0])
            assert torch.equal(item["given"]["codes"][0], torch.arange(first, first + 16.0))
            assert np.array_equal(item["audio"][0].numpy(), packed.read(index, first * HOP, 4096))
            starts.add(first)
        assert collate(items)["given"]["codes"].shape == (len(packed), 1, 16)
    assert len(starts) > 6


def test_without_signals_crops_begin_where_they_did(prepared):
    _, dump, _ = prepared()
    packed = Packed(dump, "train", None)
    plain, named = Segments(packed, 4096, 3), Segments(packed, 4096, 3, given=GivenSignals((), HOP))
    for item in [(0, 0), (1, 0), (2, 0)]:
        assert torch.equal(plain[item]["audio"], named[item]["audio"]) and plain[item]["given"] == {}


def test_behind_a_short_clip_a_mel_is_silence_and_codes_repeat(prepared, write):
    write("codes", **{name: ramp(frames(name)) for name in LENGTHS})
    write("mels", **mels())
    _, dump, _ = prepared(f"{CODES.replace('}', ', mel: mels}')}", UNITS % "size: 256")
    packed = Packed(dump, "train", None)
    index = 0
    have = frames(packed.entries[index].id)
    found = GivenSignals(("codes", "mel"), HOP, -11.5).of(packed, index, 0, (have + 6) * HOP)
    assert found["codes"].shape[1] == found["mel"].shape[1] == have + 6
    assert (found["codes"][0, have:] == have - 1).all() and (found["mel"][:, have:] == -11.5).all()
    assert (found["mel"][:, :have] > -11.6).all()


SCALES = {
    "log10": (lambda mel: mel / math.log(10), "base-10 logarithms: multiply them by 2.302585"),
    "decibels": (lambda mel: mel * 20 / math.log(10), "decibels: multiply them by 0.115129"),
    "power": (lambda mel: 2 * mel, "natural logarithms of power instead of magnitude: halve them"),
    "linear": (np.exp, "magnitudes or powers without a logarithm"),
    "normalised": (lambda mel: (mel - mel.mean()) / mel.std(), "they are normalised (mean"),
    "flipped": (lambda mel: mel[::-1], "their bands are in the order from high to low"),
    "other clips": (lambda mel: np.roll(mel, 37, 0)[:, ::-1], "they do not go with the clips' audio"),
    "quiet": (lambda mel: mel - 3, "they are of another scale: 1.00 times ours and -3.0 on average"),
}


@pytest.mark.parametrize("scale", SCALES)
def test_mels_of_another_scale_are_refused_by_what_they_are(prepared, write, tmp_path, scale):
    change, said = SCALES[scale]
    write("mels", **{name: np.ascontiguousarray(change(mel)) for name, mel in mels().items()})
    with pytest.raises(DataError) as error:
        prepared("signals: {mel: mels}")
    assert said in str(error.value) and "Nothing was packed" in str(error.value)
    assert not [path for path in (tmp_path / "dump").iterdir() if "signals" in path.name]


def test_mels_smoothed_as_predictions_are_pass(prepared, write):
    def smoothed(mel: np.ndarray) -> np.ndarray:
        padded = np.pad(mel, ((0, 0), (2, 2)), mode="edge")
        return sum(padded[:, k : k + mel.shape[1]] for k in range(5)) / 5

    write("mels", **{name: smoothed(mel) for name, mel in mels().items()})
    recipe, _, said = prepared("signals: {mel: mels}")
    assert any(line.startswith("signal mel: 80 channels") for line in said)
    assert GivenSignals.of_recipe(recipe).names == ("mel",)


def test_a_transposed_mel_is_told_so(prepared, write):
    write("mels", **{name: mel.T for name, mel in mels().items()})
    with pytest.raises(
        DataError, match=r"expected a mel spectrogram of audio.mels=80 bands \[mels, frames\], got \[.*transposed"
    ):
        prepared("signals: {mel: mels}")


@pytest.mark.parametrize(
    ("slope", "word"), [(1.0, None), (0.7, None), (1.3, None), (0.5, "another scale"), (1.5, "another")]
)
def test_the_scale_of_predictions_may_be_flatter_than_ours_but_not_another(slope, word):
    ours = np.random.default_rng(0).normal(-5, 2, (80, 50))
    fault = mel_scale.fault((ours + 5) * slope - 5, ours)
    assert fault is None if word is None else fault is not None and word in fault


def test_log10_without_audio_is_known_from_what_the_generator_learnt():
    ours = np.random.default_rng(1).normal(-5.5, 2.0, (80, 50)).clip(-11.5, 2)
    learnt = mel_scale.statistics([ours])
    assert learnt == {"mean": pytest.approx(ours.mean()), "deviation": pytest.approx(ours.std())}
    assert (
        mel_scale.foreign(ours, SPEC, learnt) is None
        and mel_scale.foreign(ours - 2, SPEC.__class__(log_floor=1e-6), learnt) is None
    )
    assert "base-10 logarithms" in (mel_scale.foreign(ours / math.log(10), SPEC, learnt) or "")
    assert mel_scale.foreign(ours / math.log(10), SPEC, None) is None


def test_a_changed_pack_of_signals_is_noticed(prepared, write):
    write("codes", **{name: ramp(frames(name)) for name in LENGTHS})
    _, dump, _ = prepared(CODES, UNITS % "size: 256")
    verification.verify(dump)
    (pack,) = dump.glob("signals-*.f32")
    data = bytearray(pack.read_bytes())
    data[5] ^= 1
    pack.write_bytes(data)
    with pytest.raises(DataError, match=r"1 of .* packed clips are not what the manifest says"):
        verification.verify(dump)
    pack.write_bytes(data[:-4])
    with pytest.raises(DataError, match=r"signals-.*: expected at least \d+ bytes"):
        for split in ("train", "validation"):
            Packed(dump, split)


def test_a_changed_signal_is_other_data_and_old_packs_go(prepared, write):
    write("codes", **{name: ramp(frames(name)) for name in LENGTHS})
    _, dump, _ = prepared(CODES, UNITS % "size: 256")
    first, packs = manifest.load(dump / manifest.MANIFEST), set(dump.glob("signals-*"))
    write("codes", one=ramp(frames("one"), first=3))
    prepared(CODES, UNITS % "size: 256")
    second = manifest.load(dump / manifest.MANIFEST)
    assert {split: each.sha256 for split, each in first.identity.items()} != {
        split: each.sha256 for split, each in second.identity.items()
    }
    assert len(list(dump.glob("signals-*"))) == 1 and set(dump.glob("signals-*")) != packs


def test_manifests_without_signals_say_nothing_of_them(prepared):
    _, dump, _ = prepared()
    rows = [json.loads(line) for line in (dump / manifest.MANIFEST).read_text().splitlines()[1:]]
    assert rows and all("signals" not in row for row in rows) and not list(dump.glob("signals-*"))


def test_training_refuses_data_packed_for_another_hop_or_without_the_signal(prepared, write):
    write("codes", **{name: ramp(frames(name)) for name in LENGTHS})
    recipe, dump, _ = prepared(CODES, UNITS % "size: 256")
    packed = Packed(dump, "train")
    demands.given(recipe, packed, ("codes",))
    with pytest.raises(TrainingError, match="were packed without the signal 'f0'; run the prepare stage again"):
        demands.given(recipe, packed, ("f0",))
    other = check.load(
        recipe.path, ["audio.hop=128", "generator.upsample_rates=[16, 8]", "generator.upsample_kernels=[32, 16]"]
    )
    with pytest.raises(TrainingError, match=r"frames of 'codes', and .* are expected, one for each audio.hop of 128"):
        demands.given(other, packed, ("codes",))
    wide = check.load(recipe.path, ["generator.codebooks=3"])
    with pytest.raises(TrainingError, match=r"is built for 3 channels of 'codes', but .* has 1"):
        demands.given(wide, packed, ("codes",))


def refused(tmp_path, data: str, generator: str, more: str = "") -> str:
    path = tmp_path / "wrong.yaml"
    path.write_text(RECIPE % (f", {data}" if data else "", generator) + more)
    with pytest.raises(RecipeError) as error:
        check.load(path)
    return str(error.value)


def test_check_knows_which_signals_files_give(tmp_path):
    assert "reads a signal 'codes', but no feature of this recipe is called so" in refused(
        tmp_path, "", UNITS % "size: 9"
    )
    assert "the signal 'f0' is in files, and features.f0 (f0) computes it, too" in refused(
        tmp_path, "signals: {f0: f0}", "{use: hnsf}", "features: {f0: {use: f0}}\n"
    )
    assert "'latent' is the name of what the toolkit supplies itself" in refused(
        tmp_path, "signals: {latent: z}", VOCODER
    )
    path = tmp_path / "recipe.yaml"
    path.write_text((RECIPE % (", signals: {mel: mels}", VOCODER)).replace("normalise: null", "normalise: 0.95"))
    with pytest.raises(
        RecipeError, match=r"scales every clip to a peak of 0.95, but mel spectrograms in files stay"
    ) as error:
        check.load(path)
    assert "--set data.normalise=null" in str(error.value)
    path.write_text(RECIPE % (", signals: {loudness: dB}", VOCODER))
    assert any("nothing reads the signal 'loudness'" in note.message for note in check.load(path).notes)


@pytest.mark.parametrize("shape", [(5,), (1, 5), (1, 1, 5), (5, 1)])
def test_an_embedding_is_a_column_whatever_its_file_s_axes(tmp_path, shape):
    np.save(tmp_path / "x.npy", np.arange(5).reshape(shape))
    assert signal_files.embedding("x", tmp_path / "x.npy").tolist() == [[0.0], [1.0], [2.0], [3.0], [4.0]]


def test_a_file_of_another_kind_is_no_signal(tmp_path):
    (tmp_path / "x.npy").write_text("hello")
    with pytest.raises(DataError, match=r"cannot be read as the signal f0 \(it is no .npy file of numbers\)"):
        signal_files.read("f0", tmp_path / "x.npy")
    with pytest.raises(DataError, match="No such file"):
        signal_files.read("f0", tmp_path / "y.npy")


def nested(corpus, *places: str) -> None:
    for wav in list(corpus.glob("*.wav")):
        wav.unlink()
    for place in places:
        (corpus / place).mkdir()
        soundfile.write(corpus / place / "one.wav", sound("one"), RATE)


def test_two_clips_of_one_name_share_no_file(prepared, write, corpus):
    nested(corpus, "left", "right", "rear")
    write("codes", one=ramp(40))
    with pytest.raises(
        DataError, match=r"codes/one\.npy: would be the file of two clips, \w+__one and \w+__one; call the files as"
    ):
        prepared(CODES, UNITS % "size: 256")
    for place, first in (("left", 0), ("right", 5), ("rear", 9)):
        write(f"codes/{place}", one=ramp(40, first=first))
    _, dump, said = prepared(CODES, UNITS % "size: 256")
    assert any("1 files in" in line and "belong to no clip of the corpus (one.npy)" in line for line in said)
    found = {
        entry.id: packed.signal(index, "codes", 0, 1)[0, 0]
        for packed in (Packed(dump, "train"), Packed(dump, "validation"))
        for index, entry in enumerate(packed.entries)
    }
    assert found == {"left__one": 0, "right__one": 5, "rear__one": 9}


def test_a_vector_of_a_label_serves_all_its_clips_and_one_of_a_name_only_one(prepared, write, corpus, tmp_path):
    nested(corpus, "ann", "bob", "cy")
    write("codes", ann__one=ramp(40), bob__one=ramp(40), cy__one=ramp(40))
    write("voices", one=np.arange(3))
    data, generator = f"{CODES}, embeddings: {{speaker: voices}}", UNITS % "size: 256, speaker: 3"
    with pytest.raises(DataError, match=r"data\.embeddings\.speaker: .*one\.npy: would be the file of two clips"):
        prepared(data, generator)
    (corpus / "voices" / "one.npy").unlink()
    soundfile.write(corpus / "ann" / "two.wav", sound("one"), RATE)
    write("codes", ann__two=ramp(40))
    write("voices", **{str(label): np.arange(3) + 10 * label for label in range(3)})
    sets = ("corpus.labels=folders", "corpus.classes=3", "corpus.validation=0", "corpus.minimum_validation=1")
    _, dump, _ = prepared(data, generator, *sets)
    entries = manifest.read(dump / manifest.MANIFEST)
    assert len(entries) == 4 and len({(e.labels["label"], e.signals["speaker"]["sha256"]) for e in entries}) == 3


def test_a_full_disk_is_told_and_leaves_no_file(prepared, write, monkeypatch, tmp_path):
    write("codes", **{name: ramp(frames(name)) for name in LENGTHS})
    opened = Path.open

    def full(path: Path, *mode, **options):
        return opened(Path("/dev/full") if path.name.startswith(".signals.") else path, *mode, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(DataError, match=r"no room for signals \(No space left on device\); free space or pass --dump"):
        prepared(CODES, UNITS % "size: 256")
    assert not list((tmp_path / "dump").glob("*signals*")) and not (tmp_path / "dump" / manifest.MANIFEST).exists()
