"""Stage 1 says which files are no clips, and packs clips whatever their names."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gansemble.data import manifest, prepare
from gansemble.data.manifest import Clip
from gansemble.errors import DataError
from gansemble.recipe import check
from gansemble.stages import corpus_files

RATE = 16000
RECIPE = f"""\
name: small
audio: {{sample_rate: {RATE}, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}}
corpus: {{use: folder, minimum_validation: 1}}
generator: {{use: vocos}}
losses: {{mel: {{use: mel_l1}}}}
metrics: {{mel_distance: {{use: mel_distance}}}}
plan: {{segment: 1024}}
optimisers: {{generator: {{use: adamw}}}}
"""


@pytest.fixture
def prepared(tmp_path):
    """Runs stage 1 on ``tmp_path / "data"`` and returns (the packed clips, what was said)."""
    (tmp_path / "small.yaml").write_text(RECIPE)
    data = tmp_path / "data"
    data.mkdir()

    def run() -> tuple[list[manifest.ManifestEntry], list[str]]:
        said: list[str] = []
        path = prepare.prepare(check.load(tmp_path / "small.yaml"), data, tmp_path / "dump", 1, said.append)
        return manifest.read(path), said

    return run


def write(path: Path, seed: int, form: str = "WAV") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        soundfile.write(out, 0.1 * np.random.default_rng(seed).standard_normal(4000), RATE, format=form)


def test_prepare_takes_every_decoded_suffix_and_tells_of_the_rest(tmp_path, prepared):
    data = tmp_path / "data"
    for seed, (name, form) in enumerate(
        (("a.wav", "WAV"), ("d.w64", "W64"), ("e.AU", "AU"), ("f.caf", "CAF"), ("../elsewhere/c.wav", "WAV"))
    ):
        write(data / name, seed, form)
    (data / "linked").symlink_to("../elsewhere")
    (data / "gone.wav").symlink_to("nowhere.wav")
    for name in ("._a.wav", "notes.txt", "more.txt", "g.m4a"):
        (data / name).write_bytes(b"x")
    entries, said = prepared()
    assert sorted(entry.id for entry in entries) == ["a", "d", "e", "f", "linked__c"]
    assert said[1:3] == [
        "passed over, as no clips: 1 link to nothing (gone.wav), 1 hidden file (._a.wav), 2 files of .txt (first: more.txt)",
        "warning: left out, as their formats cannot be decoded here: 1 file (g.m4a); convert what should be used, such as with: "
        "ffmpeg -i g.m4a g.flac",
    ]


def test_a_folder_of_clips_alone_is_not_commented_on(tmp_path, prepared):
    for seed in range(3):
        write(tmp_path / f"data/{seed}.wav", seed)
    _, said = prepared()
    assert not [line for line in said if "passed over" in line or "names" in line.replace("their names", "")]


def test_names_that_are_no_text_are_packed_and_the_files_stay_known(tmp_path, prepared):
    odd = ["tab\t.wav", "line\nbreak.wav", "quo\"te'.wav", "\u2028.wav", "plain.wav"]
    for seed, name in enumerate(odd):
        write(tmp_path / "data" / name, seed)
    entries, said = prepared()
    assert sorted(entry.path for entry in entries) == sorted(odd)
    assert {"tab�09", "line�0Abreak", "quo\"te'", "\u2028", "plain"} == {entry.id for entry in entries}
    line = next(line for line in said if "no text" in line)
    assert line.startswith("2 of 5 clips have names that are no text on one line, such as line\\nbreak.wav; ")
    assert line.endswith(": line�0Abreak")
    assert all(line.encode() for line in said), "all of it can be printed"
    known = corpus_files.recorded(tmp_path / "dump/sources.jsonl")
    assert known is not None and set(known) == set(odd) and corpus_files.changes(known, tmp_path / "data") is None


def test_a_manifest_holds_paths_of_any_bytes(tmp_path):
    path = os.fsdecode(b"caf\xe9.wav")
    facts = {"sample_rate": 1, "frames": 1, "channels": 1, "source_rate": 1, "offset": 0, "peak": 1.0, "sha256": ""}
    entries = [manifest.ManifestEntry(id="caf�E9", path=path, split="train", **facts)]
    entries.append(manifest.ManifestEntry(id="é", path="é.wav", split="train", **facts))
    manifest.write(tmp_path / "manifest.jsonl", entries)
    assert manifest.read(tmp_path / "manifest.jsonl") == entries
    assert "é.wav" in (tmp_path / "manifest.jsonl").read_text(encoding="utf-8"), "other lines are legible"


def test_ids_of_a_corpus_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "small.yaml").write_text(RECIPE)
    with pytest.raises(DataError, match=r"gives a\.wav the id a\\xe9, which is no text"):
        prepare._demand_splits(check.load(tmp_path / "small.yaml"), [Clip("a\udce9", "a.wav", "train")])
