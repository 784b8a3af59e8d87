"""How samples stand in a pack: nothing beyond full scale is cut off, quiet clips keep their quality, 24 bits are kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gansemble.data import manifest, stored
from gansemble.data.facts import Facts
from gansemble.data.packed import Packed
from gansemble.data.prepare import prepare
from gansemble.data.verification import verify
from gansemble.errors import DataError
from gansemble.recipe import check
from gansemble.recipe.sections import Data

RATE = 8000
CONF = """\
audio: {sample_rate: 8000, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}
corpus: {use: folder}
generator: {use: vocos, dim: 8, hidden: 8, blocks: 1}
losses: {mel: {use: mel_l1}}
plan: {segment: 1024}
validation: {metrics: []}
optimisers: {generator: {use: adamw}}
"""


def noise(seed: int, level: float = 0.1, frames: int = 4000) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(frames)).astype(np.float32)


def decibels(error: np.ndarray, audio: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(error**2)) / np.abs(audio).max()))


@pytest.mark.parametrize("level", [1e-6, 1e-4, 0.03, 0.5, 1.7, 400.0])
def test_16_bits_keep_90_dB_below_the_peak_at_any_level(level):
    audio = noise(1, level)
    made = stored.encode(audio, ".i16")
    assert made.data.dtype == np.int16 and decibels(made.audio - audio, audio) < -90
    assert np.abs(made.audio).max() == pytest.approx(np.abs(audio).max(), rel=2e-4)


def test_16_bit_samples_are_stored_as_they_are():
    samples = np.array([0, 1, -32768, 32767, -5], np.int16)
    made = stored.encode(samples / np.float32(32768), ".i16")
    assert made.shift == 0 and made.data.tolist() == samples.tolist()
    assert made.audio.tolist() == (samples / np.float32(32768)).tolist()


@pytest.mark.parametrize(
    "audio", [np.zeros(4, np.float32), np.full(3, 1e-30, np.float32), np.array([2.0**31], np.float32)]
)
def test_the_factor_has_bounds(audio):
    made = stored.encode(audio, ".i16")
    assert -32 <= made.shift <= 32 and np.isfinite(made.audio).all()


def test_32_bits_keep_everything():
    audio = noise(2, 3.0)
    made = stored.encode(audio, ".f32")
    assert made.shift == 0 and (made.audio == audio).all() and made.data.dtype == np.dtype("<f4")


@pytest.mark.parametrize(
    ("samples", "fine", "suffix", "told"),
    [
        ("auto", False, ".i16", "stored as 16-bit samples"),
        ("auto", True, ".f32", "1 of 2 clips have more (PCM_24: 1); data.samples=pcm16 halves the room"),
        ("pcm16", True, ".i16", "though 1 of 2 clips have more (PCM_24: 1): data.samples=float32 keeps them"),
        ("float32", False, ".f32", "as data.samples=float32 says"),
    ],
)
def test_how_clips_are_stored_is_chosen_and_said(samples, fine, suffix, told):
    said: list[str] = []
    facts = [Facts("a", subtype="PCM_24", fine=fine), Facts("b", subtype="PCM_16")]
    assert stored.choose(Data(samples=samples), facts, said.append) == suffix
    assert told in said[0]


class Place:
    """A corpus in a folder, and the folder of its packed data."""

    def __init__(self, folder: Path) -> None:
        self.data, self.dump, self.said = folder / "corpus", folder / "dump", list[str]()
        self.data.mkdir()

    def write(self, name: str, audio: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> None:
        soundfile.write(self.data / name, audio, rate, subtype=subtype)

    def prepare(self, *changes: str) -> dict[str, dict[str, object]]:
        """Prepares it, and returns the findings by their codes."""
        conf = self.data.parent / "conf.yaml"
        conf.write_text(CONF)
        recipe = check.load(conf, changes)
        self.said.clear()
        prepare(recipe, self.data, self.dump, 1, self.said.append)
        verify(self.dump)
        return {row["code"]: row for row in json.loads((self.dump / "doctor.json").read_text())}

    def clip(self, id_: str, normalise: float | None = None) -> np.ndarray:
        split = next(entry.split for entry in manifest.read(self.dump / "manifest.jsonl") if entry.id == id_)
        packed = Packed(self.dump, split, normalise)
        return packed.read(next(index for index, entry in enumerate(packed.entries) if entry.id == id_))


@pytest.fixture
def place(tmp_path) -> Place:
    made = Place(tmp_path)
    for number in range(6):
        made.write(f"c{number}.wav", noise(number))
    return made


def test_what_goes_beyond_full_scale_is_scaled_and_not_cut_off(place):
    loud = noise(7, 0.7)
    assert np.abs(loud).max() > 2
    place.write("loud.wav", loud, subtype="FLOAT")
    for samples in ("auto", "pcm16"):
        found = place.prepare(f"data.samples={samples}")
        assert found["beyond"]["severity"] == "decided" and "data.normalise=0.95 scales" in str(
            found["beyond"]["remedy"]
        )
        assert "clipping" not in found
        scaled = place.clip("loud", 0.95)
        assert np.abs(scaled - loud * 0.95 / np.abs(loud).max()).max() < 1e-4
        assert np.abs(place.clip("loud") - loud).max() < 2e-4
    assert place.prepare("data.normalise=null")["beyond"]["severity"] == "warning"


def test_24_bits_are_kept_and_said(place):
    fine = noise(8, 0.001)
    place.write("fine.wav", fine, subtype="PCM_24")
    place.prepare()
    assert any("as 1 of 7 clips have more (PCM_24: 1)" in line for line in place.said)
    assert np.abs(place.clip("fine") - fine).max() < 2**-23
    assert {Path(entry.pack).suffix for entry in manifest.read(place.dump / "manifest.jsonl")} == {".f32"}
    place.prepare("data.samples=pcm16")
    assert decibels(place.clip("fine") - fine, fine) < -90


def test_floating_point_files_of_16_bit_samples_are_stored_in_16_bits(place):
    for path in place.data.iterdir():
        audio, _ = soundfile.read(path, dtype="float32")
        place.write(path.name, audio, subtype="FLOAT")
    place.prepare()
    assert "stored as 16-bit samples" in place.said


def test_the_mix_is_what_is_examined(place):
    """Two channels of opposite sign are loud, and their mix is silent."""
    sound = noise(9)
    place.write("opposed.wav", np.stack([sound, -sound], 1))
    place.write("first.wav", np.stack([noise(10), noise(11)], 1))
    place.write("again.wav", np.stack([noise(10), noise(12)], 1))
    found = place.prepare("data.channels=mix")
    assert found["silence"]["ids"] == ["opposed"]
    assert "as stored, mixed down and at the recipe's rate:" in place.said
    found = place.prepare("data.channels=first")
    assert "silence" not in found
    splits = {entry.id: entry.split for entry in manifest.read(place.dump / "manifest.jsonl")}
    kind = "duplicates" if splits["first"] == splits["again"] else "leakage"
    assert sorted(found[kind]["ids"]) == ["again", "first"], "their first channels are the same"


def test_what_was_resampled_is_examined_at_the_recipes_rate(place):
    """A file at a low rate holds all that it can; raised to a higher one, the upper half is empty."""
    place.write("raised.wav", noise(13, frames=4000), 3000)
    found = place.prepare("data.rate=resample")
    assert found["bandwidth"]["ids"] == ["raised"]


def test_a_file_that_changes_between_examination_and_packing_is_noticed(place, monkeypatch):
    from gansemble.data import pack

    def plan(*given: object, **more: object) -> object:
        made = original(*given, **more)
        place.write("c1.wav", noise(1, frames=3000))
        return made

    original = pack.plan
    monkeypatch.setattr(pack, "plan", plan)
    with pytest.raises(DataError, match=r"c1\.wav: changed while it was being packed"):
        place.prepare()


def test_packs_of_the_first_version_are_read(place):
    """Their entries have no factors, and all of their samples are of 16 bits."""
    place.prepare()
    path = place.dump / "manifest.jsonl"
    first, _, body = path.read_bytes().partition(b"\n")
    path.write_bytes(json.dumps(json.loads(first) | {"manifest": 1, "samples": "<i2"}).encode() + b"\n" + body)
    audio, _ = soundfile.read(place.data / "c0.wav", dtype="float32")
    assert (place.clip("c0") == audio).all()


def test_bytes_behind_the_audio_are_a_finding(place):
    path = place.data / "c2.wav"
    path.write_bytes(path.read_bytes() + b"written by a recorder")
    found = place.prepare()
    assert found["trailing"]["severity"] == "warning" and found["trailing"]["ids"] == ["c2"]
    assert "bytes that are no audio follow" in str(found["trailing"]["message"])


@pytest.mark.parametrize(
    ("change", "code"),
    [(lambda whole: whole[:4000], "truncated"), (lambda whole: whole * 2, "concatenated")],
)
def test_files_that_are_not_what_they_were_stop_the_preparation_with_both_lengths(place, change, code):
    path = place.data / "c3.wav"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=r"c3\.wav: .*(0\.500 s, it holds 0\.2|another recording of 80)"):
        place.prepare()
    found = place.prepare("data.broken=drop")
    assert found[code]["severity"] == "decided" and found[code]["ids"] == ["c3"]
