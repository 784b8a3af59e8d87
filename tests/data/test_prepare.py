"""Stage 1, from the command line: bad audio is named, nothing is lost, each remedy works, and staleness has reasons."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gansemble.audio import files
from gansemble.cli import main
from gansemble.data import manifest
from gansemble.data.pack import packed_frames
from gansemble.data.packed import Packed
from gansemble.data.prepare import check_segment, check_splits
from gansemble.errors import DataError
from gansemble.recipe import check
from gansemble.stages import Ledger, Project

RATE = 16000
RECIPE = f"""\
name: small
audio: {{sample_rate: {RATE}, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}}
corpus: {{use: folder, minimum_validation: 2}}
generator: {{use: vocos}}
losses: {{mel: {{use: mel_l1}}}}
metrics: {{mel_distance: {{use: mel_distance}}}}
plan: {{segment: 1024}}
optimisers: {{generator: {{use: adamw}}}}
"""


def noise(seed: int, frames: int = 4000, channels: int = 1) -> np.ndarray:
    audio = 0.1 * np.random.default_rng(seed).standard_normal((frames, channels))
    return audio[:, 0] if channels == 1 else audio


class Place:
    """A corpus folder ``data``, a recipe, and ``gansemble`` run on them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture) -> None:
        self.folder, self.capsys = folder, capsys
        self.data, self.dump, self.exp = folder / "data", folder / "dump", folder / "exp"
        self.recipe = folder / "small.yaml"
        self.recipe.write_text(RECIPE)
        self.data.mkdir()
        for seed in range(6):
            self.write(f"clip{seed}", noise(seed))

    def write(self, name: str, audio: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> Path:
        path = self.data / f"{name}.wav"
        soundfile.write(path, audio, rate, subtype=subtype)
        return path

    def run(self, *words: str, sets: tuple[str, ...] = (), data: Path | None = None, command: str = "prepare"):
        """(exit status, everything printed)."""
        places = ["--data", str(data or self.data), "--dump", str(self.dump), "--exp", str(self.exp)]
        given = [word for text in sets for word in ("--set", text)]
        jobs = ["--jobs", "1"] if command == "prepare" and "--jobs" not in words else []
        with pytest.raises(SystemExit) as left:
            main([command, str(self.recipe), *places, *jobs, *given, *words])
        said = self.capsys.readouterr()
        return left.value.code or 0, said.out + said.err

    def pack(self) -> dict[str, np.ndarray]:
        """The packed samples by clip id."""
        found = {}
        for split in {entry.split for entry in manifest.read(self.dump / "manifest.jsonl")}:
            packed = Packed(self.dump, split)
            found |= {entry.id: packed.read(index) for index, entry in enumerate(packed.entries)}
        return found

    def state(self, *sets: str, name: str = "prepare"):
        project = Project.of(self.recipe, sets, self.exp, self.data, self.dump)
        return next(state for state in Ledger(project).states() if state.stage.name == name)


@pytest.fixture
def place(tmp_path, capsys) -> Place:
    return Place(tmp_path, capsys)


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[id_], second[id_]) for id_ in first)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_sound_corpus_is_packed_sample_for_sample(place):
    status, said = place.run()
    assert status == 0 and "no findings" in said and "packed: train 4 clips" in said
    packed = place.pack()
    assert sorted(packed) == [f"clip{seed}" for seed in range(6)]
    for id_, audio in packed.items():
        expected, _ = files.read(place.data / f"{id_}.wav")
        assert np.array_equal(audio, expected[0])


def spoil_rate(place: Place) -> None:
    place.write("bad", noise(9, 2000), rate=8000)


def spoil_channels(place: Place) -> None:
    place.write("bad", noise(9, channels=2))


def spoil_by_cutting(place: Place) -> None:
    path = place.write("bad", noise(9))
    path.write_bytes(path.read_bytes()[:5000])


def spoil_by_nan(place: Place) -> None:
    audio = noise(9)
    audio[1234] = np.nan
    place.write("bad", audio, subtype="FLOAT")


def spoil_by_shortness(place: Place) -> None:
    place.write("bad", noise(9, frames=1000))


def spoil_by_text(place: Place) -> None:
    (place.data / "bad.wav").write_text("this is no audio")


def spoil_by_emptiness(place: Place) -> None:
    (place.data / "bad.wav").touch()


BAD = {
    "wrong rate": (spoil_rate, ["are not at 16000 Hz (8000 Hz: 1)", "data.rate=resample", "bad"]),
    "stereo": (spoil_channels, ["are not mono (2 channels: 1)", "data.channels=mix", "data.channels=first", "bad"]),
    "truncated": (spoil_by_cutting, ["3044 bytes are missing", "data.broken=drop"]),
    "NaN": (spoil_by_nan, ["bad.wav: holds NaN or Inf, first at sample 1234", "data.broken=drop"]),
    "short": (
        spoil_by_shortness,
        ["shorter than the segment of 1024 samples", "data.short=pad", "data.short=drop", "bad"],
    ),
    "no audio": (spoil_by_text, ["bad.wav: not readable as audio", "data.broken=drop"]),
    "0 bytes": (spoil_by_emptiness, ["bad.wav: holds no samples, 0 bytes", "data.broken=drop"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_audio_is_named_with_its_remedy_and_an_existing_pack_is_untouched(place, case):
    place.run()
    before = content(place.dump)
    spoil, expected = BAD[case]
    spoil(place)
    status, said = place.run()
    assert status == 1
    error = said.partition("error: ")[2]
    assert error.startswith("the corpus is not what the recipe expects; nothing was packed.")
    assert [text for text in expected if text not in error] == []
    assert "Traceback" not in said
    assert content(place.dump) == before


def test_all_faults_are_reported_at_once(place):
    spoil_rate(place)
    place.write("stereo", noise(8, channels=2))
    _, said = place.run()
    assert "2 kinds of error" in said and "are not at 16000 Hz" in said and "are not mono" in said


REMEDIES = {
    "wrong rate": ("data.rate=resample", 4000),
    "stereo": ("data.channels=mix", 4000),
    "truncated": ("data.broken=drop", None),
    "NaN": ("data.broken=drop", None),
    "short": ("data.short=drop", None),
    "no audio": ("data.broken=drop", None),
    "0 bytes": ("data.broken=drop", None),
}


@pytest.mark.parametrize("case", REMEDIES)
def test_the_remedy_that_is_named_works(place, case):
    BAD[case][0](place)
    override, frames = REMEDIES[case]
    status, said = place.run(sets=(override,))
    assert status == 0, said
    assert f"to do: nothing: the recipe has {override}" in said and "0 kinds of error" in said
    packed = place.pack()
    assert len(packed) == (6 if frames is None else 7)
    assert frames is None or len(packed["bad"]) == frames


def test_mixing_averages_and_first_takes_the_first(place):
    path = place.write("bad", noise(9, channels=2))
    stereo, _ = files.read(path)
    place.run(sets=("data.channels=mix",))
    assert np.abs(place.pack()["bad"] - stereo.mean(axis=0)).max() <= 2**-15
    place.run(sets=("data.channels=first",))
    assert np.array_equal(place.pack()["bad"], stereo[0])


def test_resampling_keeps_a_tone(place):
    time = np.arange(2000) / 8000
    place.write("bad", 0.5 * np.sin(2 * np.pi * 440 * time), rate=8000)
    place.run(sets=("data.rate=resample",))
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(4000) / RATE)
    assert np.abs(place.pack()["bad"] - expected)[400:-400].max() < 2e-3


def test_a_length_that_the_rates_do_not_divide_is_rounded_up(place):
    """3001 samples at 22.05 kHz are 2177.6 at 16 kHz: the last one begun is kept, as the resampler makes it."""
    path = place.write("bad", noise(9, frames=3001), rate=22050)
    status, said = place.run(sets=("data.rate=resample",))
    assert status == 0, said
    audio, rate = files.read(path)
    expected = files.resample(audio, rate, RATE)[0]
    assert len(place.pack()["bad"]) == len(expected) == packed_frames(3001, 22050, RATE) == 2178
    assert np.abs(place.pack()["bad"] - expected).max() <= 2**-15


def test_padding_keeps_a_short_clip_for_training(place):
    spoil_by_shortness(place)
    assert place.run(sets=("data.short=pad",))[0] == 0
    check_segment(check.load(place.recipe, ["data.short=pad"]), place.dump)
    assert len(place.pack()["bad"]) in (1000, 1024)


def test_a_missing_folder_is_named_and_nothing_is_packed(place):
    missing = place.folder / "nowhere"
    status, said = place.run(data=missing)
    assert (status, f"error: {missing}: no such folder" in said, "--data" in said) == (1, True, True)
    assert not place.dump.exists()


def test_a_folder_without_audio_is_named_and_nothing_is_packed(place):
    empty = place.folder / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("no audio here")
    status, said = place.run(data=empty)
    assert status == 1 and f"error: {empty}: expected audio files" in said and "--data" in said
    assert not place.dump.exists()


def test_dropping_every_clip_is_refused(place):
    status, said = place.run(sets=("data.short=drop", "plan.segment=8192"))
    assert status == 1 and "every clip was dropped" in said


@pytest.mark.parametrize("sets", [("corpus.validation=2",), ("corpus.extensions=[txt]",)])
def test_a_corpus_that_cannot_be_built_is_a_message_and_no_traceback(place, sets):
    status, said = place.run(sets=sets)
    assert status == 1 and "error: " in said and "corpus" in said


def test_a_wrong_recipe_stops_before_anything_is_written(place):
    status, said = place.run(sets=("data.rate=resmaple",))
    assert status == 1 and "data.rate: expected 'error' or 'resample', got text 'resmaple'" in said
    assert not place.dump.exists() and not place.exp.exists()


def test_a_corpus_name_that_is_no_text_is_a_message(place, capsys):
    with pytest.raises(SystemExit) as left:
        main(["prepare", str(place.recipe), "--set", "corpus.use=[x]"])
    assert left.value.code == 1 and "corpus: expected {use: NAME, …}" in capsys.readouterr().err


@pytest.mark.slow
def test_two_jobs_pack_what_one_packs(place):
    place.run()
    alone = place.pack()
    assert place.run("--force", "--jobs", "2")[0] == 0
    assert same(place.pack(), alone)


def test_shards_put_together_equal_the_whole(place):
    place.run()
    whole = place.pack()
    shutil.rmtree(place.dump)
    for shard in ("1/2", "2/2"):
        assert place.run("--shard", shard)[0] == 0
        assert not (place.dump / "manifest.jsonl").exists()
    status, said = place.run()
    assert status == 0 and "put 2 shards together" in said
    assert same(place.pack(), whole)
    assert place.state().word == "done"


def test_a_lone_shard_is_not_taken_for_the_corpus(place):
    place.run("--shard", "1/2")
    status, said = place.run()
    assert status == 0 and "(1-of-2) are not all of one division" in said and len(place.pack()) == 6


def shard_all(place: Place) -> None:
    for shard in ("1/2", "2/2"):
        assert place.run("--shard", shard)[0] == 0


def test_shards_of_other_audio_are_not_put_together(place):
    shard_all(place)
    place.write("clip0", noise(77))
    assert place.run()[0] == 0
    expected, _ = files.read(place.data / "clip0.wav")
    assert np.array_equal(place.pack()["clip0"], expected[0])


def test_shards_of_another_recipe_are_not_put_together(place):
    shard_all(place)
    assert place.run(sets=("audio.sample_rate=8000", "data.rate=resample"))[0] == 0
    assert {entry.sample_rate for entry in manifest.read(place.dump / "manifest.jsonl")} == {8000}


def test_shards_packed_under_another_policy_are_not_put_together(place):
    """Shards hold the first channel, the whole is to hold the mean of both."""
    path = place.write("bad", noise(9, channels=2))
    for shard in ("1/2", "2/2"):
        assert place.run("--shard", shard, sets=("data.channels=first",))[0] == 0
    status, said = place.run(sets=("data.channels=mix",))
    assert status == 0 and "put 2 shards together" not in said, said
    assert np.abs(place.pack()["bad"] - files.read(path)[0].mean(axis=0)).max() <= 2**-15


def test_shards_that_lack_a_new_clip_are_not_put_together(place):
    shard_all(place)
    place.write("late", noise(78))
    assert place.run()[0] == 0
    assert "late" in place.pack()


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_a_shard_that_is_none_is_refused(place, shard):
    status, said = place.run(f"--shard={shard}")
    assert status == 2 and f"expected i/n with 1 <= i <= n, such as 1/4, got '{shard}'" in said


def test_a_second_run_changes_nothing_and_says_so(place):
    place.run()
    before = content(place.dump)
    status, said = place.run()
    assert status == 0 and said.startswith("stage 1 prepare: up to date (")
    assert content(place.dump) == before


def test_a_changed_key_makes_the_stage_stale_with_old_and_new_value(place):
    place.run()
    state = place.state("data.channels=mix")
    assert (state.word, state.reasons) == ("stale", ("data.channels: error -> mix",))
    status, said = place.run(sets=("data.channels=mix",))
    assert status == 0 and "stage 1 prepare: examine and pack the audio (stale: data.channels: error -> mix)" in said
    assert place.state("data.channels=mix").word == "done"


def test_a_key_the_stage_does_not_read_leaves_it_done(place):
    place.run()
    assert place.state("plan.steps=3", "losses.mel.weight=7", "validation.every=9").word == "done"


@pytest.mark.parametrize("change", ["removed", "added", "rewritten"])
def test_a_changed_file_makes_the_stage_stale(place, change):
    place.run()
    if change == "removed":
        (place.data / "clip5.wav").unlink()
    elif change == "added":
        place.write("clip6", noise(6))
    else:
        place.write("clip5", noise(55, frames=3000))
    state = place.state()
    how = {"removed": "removed (clip5.wav)", "added": "added (clip6.wav)", "rewritten": "changed (clip5.wav)"}[change]
    assert (state.word, state.reasons) == ("stale", (f"corpus files: 1 file {how} in {place.data}",))
    assert place.run()[0] == 0
    assert len(place.pack()) == {"removed": 5, "added": 7, "rewritten": 6}[change]


def test_another_folder_of_the_same_content_is_the_same_corpus_and_one_of_other_content_is_not(place):
    place.run()
    moved = place.folder / "moved"
    shutil.copytree(place.data, moved, copy_function=shutil.copy)  # with times of its own
    assert "stage 1 prepare: up to date" in place.run("--dry-run", data=moved)[1]
    samples, _ = soundfile.read(moved / "clip5.wav", dtype="int16")
    soundfile.write(moved / "clip5.wav", samples[::-1], RATE)  # as long, and as large
    assert "(stale: corpus files: 1 file changed (clip5.wav) in " in place.run("--dry-run", data=moved)[1]


@pytest.mark.parametrize("name", ["manifest.jsonl", "sources.jsonl", "audio-*.i16"])
def test_a_lost_output_makes_the_stage_stale(place, name):
    place.run()
    name = next(place.dump.glob(name)).name
    (place.dump / name).unlink()
    assert place.state().word == "stale" and f"{place.dump / name} is gone" in place.state().reasons
    place.run()
    assert len(place.pack()) == 6


def test_a_longer_segment_under_drop_is_seen_before_training(place):
    spoil_by_shortness(place)
    place.run(sets=("data.short=drop",))
    longer = ("data.short=drop", "plan.segment=4096")
    if place.state(*longer).word == "done":
        with pytest.raises(DataError, match="prepare"):
            check_segment(check.load(place.recipe, longer), place.dump)


def test_training_on_clips_shorter_than_a_segment_is_refused(place):
    place.run()
    with pytest.raises(DataError, match=r"4 training clips are shorter than plan.segment 8192: clip\d \(4000\)"):
        check_segment(check.load(place.recipe, ["plan.segment=8192"]), place.dump)


def test_a_split_that_stage_four_would_miss_is_told_in_stage_one_and_refused_before_training(place):
    status, said = place.run(sets=("synthesis.split=test",))
    assert status == 0
    assert "warning: no clip is in the test split, which synthesis.split needs" in said
    status, said = place.run(sets=("synthesis.split=test",), command="train")
    assert status == 1 and not (place.exp / "checkpoints").exists()
    for words in (
        "no clip is in the test split, which synthesis.split names and stages 4 to 6 need",
        "change how corpus folder splits them, or use another split with --set synthesis.split=validation",
    ):
        assert words in said
    check_splits(check.load(place.recipe), place.dump)


def test_force_packs_again(place):
    place.run()
    status, said = place.run("--force")
    assert status == 0 and "(forced)" in said and "stage 1 prepare: done in" in said


def test_a_dry_run_writes_nothing(place):
    status, said = place.run("--dry-run")
    assert status == 0 and said == "stage 1 prepare: examine and pack the audio (to do)\n"
    assert not place.dump.exists() and not place.exp.exists()


def test_what_follows_is_stale_when_the_pack_is_made_again(place):
    place.run()
    assert place.run(command="statistics")[0] == 0
    assert place.state(name="statistics").word == "done"
    place.write("clip6", noise(6))
    assert place.state(name="statistics").reasons == ("stage 1 prepare is stale",)
    place.run()
    assert place.state(name="statistics").reasons == ("the packed train split changed (4 -> 5 clips)",)


def test_statistics_before_prepare_says_what_to_run(place):
    status, said = place.run(command="statistics")
    assert status == 1
    assert "error: stage 2 statistics: stage 1 prepare has not been done; run it first, with --stage 1" in said


def test_the_doctors_findings_are_kept_beside_the_pack(place):
    shutil.copy(place.data / "clip0.wav", place.data / "copy.wav")
    assert place.run()[0] == 0
    codes = {finding["code"] for finding in json.loads((place.dump / "doctor.json").read_text())}
    assert codes & {"duplicates", "leakage"}


def test_a_manifest_that_is_damaged_is_named_with_its_line(place):
    place.run()
    path = place.dump / "manifest.jsonl"
    path.write_text(path.read_text() + "{half\n")
    with pytest.raises(DataError, match=f"{path}: was changed after it was written"):
        manifest.read(path)
