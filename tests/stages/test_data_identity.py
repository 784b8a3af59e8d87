"""An experiment knows its data: nothing is trained or scored on other data than its record says."""

from __future__ import annotations

import hashlib
import json
import os
import shutil

import numpy as np
import pytest
import soundfile

from gansemble.data import manifest
from gansemble.data.packed import Packed
from gansemble.data.verification import verify
from gansemble.errors import DataError
from gansemble.stages import Project
from gansemble.training.checkpoint import Store
from gansemble.training.trainer import Trainer

pytestmark = pytest.mark.slow
STAGES = ("fetch", "prepare", "statistics", "train", "synthesise", "evaluate", "report")


def replace_every_clip(place) -> None:
    for seed in range(6):
        place.write(f"clip{seed}", 100 + seed)


# going on with other data ----------------------------------------------


def test_an_interrupted_run_does_not_go_on_with_other_data(place, run, done):
    """Every clip replaced and prepared: refused, naming what changed, with the old checkpoints as they were."""
    done("fetch", "prepare")
    assert run("train", "--stop-after", 2)[0] == 75
    replace_every_clip(place)
    done("prepare")
    status, said = run("train")
    assert status == 1 and place.steps() == [2]
    assert "step 2 was trained on data that differ:\n  packed data: 6 clips changed (clip" in said
    assert "--allow-change" in said and "--force" in said


def test_other_data_are_let_through_when_asked_and_the_checkpoint_tells(place, run, done):
    done("fetch", "prepare")
    assert run("train", "--stop-after", 2)[0] == 75
    place.write("clip7", 7)
    done("prepare")
    assert "packed data: 1 clip added (clip7)" in run("train")[1]
    done("train", words=("--allow-change",))
    history = Store(place.experiment / "checkpoints").newest().manifest["data"]
    assert [each["from_step"] for each in history] == [0, 2]
    assert [each["splits"]["train"]["clips"] for each in history] == [4, 5]


def test_a_finished_run_is_trained_anew_on_other_data_and_kept(place, run, done):
    done("fetch", "prepare", "train")
    (place.corpus / "clip0.wav").unlink()
    place.write("clip8", 8)
    done("prepare")
    said = done("train")
    assert "the packed data changed since: 1 clip added (clip8), 1 clip removed (clip0)" in said
    assert len(place.previous()) == 1 and place.steps() == [2, 4]


def test_a_change_is_said_to_be_too_late_when_no_step_is_left(place, run, done):
    """--allow-change on a finished run would otherwise record what no step was trained on."""
    done("fetch", "prepare", "train")
    replace_every_clip(place)
    done("prepare")
    status, said = run("train", "--allow-change")
    assert status == 1 and "all 4 steps are done already, so nothing would be trained under what changed" in said
    done("train", words=("--allow-change", "--set", "plan.steps=6"))
    assert place.steps()[-1] == 6 and not place.previous()


def test_clips_prepared_while_training_are_not_what_it_was_trained_on(place, run, done, monkeypatch):
    """The record holds the data that were read; the run goes on reading them, and then counts as stale."""
    done("fetch", "prepare")
    step = Trainer._step

    def prepare_meanwhile(self, batches):
        if self.counters.step == 1:
            place.write("clip9", 9)
            done("prepare")
        return step(self, batches)

    before = place.record("prepare")["data"]
    monkeypatch.setattr(Trainer, "_step", prepare_meanwhile)
    done("train")
    monkeypatch.undo()
    assert place.record("train")["upstream"]["prepare"] == before != place.record("prepare")["data"]
    for command in (("train", "--dry-run"), ("status", place.experiment)):
        assert "the packed train split changed (4 -> 5 clips)" in run(*command)[1]


def test_a_pack_that_is_read_is_kept_and_then_deleted(place, run, done, monkeypatch):
    done("fetch", "prepare")
    step, kept = Trainer._step, []

    def prepare_meanwhile(self, batches):
        if self.counters.step == 1:
            replace_every_clip(place)
            kept.append(run("prepare")[1])
        return step(self, batches)

    monkeypatch.setattr(Trainer, "_step", prepare_meanwhile)
    done("train", words=("--set", "plan.workers=1"))
    assert "is kept: run " in kept[0] and "is reading it" in kept[0]
    assert len(list(place.packed().glob("audio-*.i16"))) == 2
    done("prepare", words=("--force",))
    assert len(list(place.packed().glob("audio-*.i16"))) == 1 and not list(place.packed().glob(".reading/*"))


# what is packed is what is read -----------------------------------------


def test_two_prepares_of_one_folder_wait_for_each_other(place, tmp_path):
    """Both succeed, whichever was first, and what is published verifies; of other content, the last one's."""
    place = place.at(dump=tmp_path / "dump", exp=tmp_path / "exp")
    other = place.at(data=tmp_path / "other", exp=tmp_path / "second")
    for seed in range(12):
        other.write(f"tone{seed}", 50 + seed, frames=20000)
    both = [place.start("prepare"), other.start("prepare"), place.start("prepare", "--force")]
    said = [child.communicate(timeout=120)[0] for child in both]
    assert [child.returncode for child in both] == [0, 0, 0], said
    verify(place.packed())
    assert len(list(place.packed().glob("audio*"))) == 1 and not list(place.packed().glob(".*.part"))


def spoil_samples(place) -> None:
    (pack,) = place.packed().glob("audio-*.i16")
    pack.write_bytes(bytes(pack.stat().st_size))


def spoil_byte_order(place) -> None:
    (pack,) = place.packed().glob("audio-*.i16")
    pack.write_bytes(np.fromfile(pack, "<i2").astype(">i2").tobytes())


def spoil_one_sample(place) -> None:
    (pack,) = place.packed().glob("audio-*.i16")
    samples = np.fromfile(pack, "<i2")
    samples[len(samples) // 2] += 1
    samples.tofile(pack)


@pytest.mark.parametrize("spoil", [spoil_samples, spoil_byte_order, spoil_one_sample])
@pytest.mark.parametrize("stage", ["statistics", "train", "synthesise", "evaluate", "report"])
def test_a_pack_that_was_altered_is_refused_by_every_reader(place, run, done, spoil, stage):
    done(*STAGES[: STAGES.index(stage)])
    before = place.steps()
    spoil(place)
    whole = ("--set", "synthesis.split=validation")
    status, said = run(stage, *(whole if stage == "synthesise" else ()))
    if spoil is spoil_one_sample and status == 0:
        assert stage in ("synthesise", "evaluate", "report"), "it lies in another split than these read"
        return
    assert status == 1, said
    assert "packed clips are not what the manifest says (clip" in said and "prepare stage and --force" in said
    assert place.steps() == before


def test_a_manifest_edited_by_hand_is_refused_and_its_splits_do_not_count(place, run, done):
    done("fetch", "prepare", "train")
    path = place.packed() / "manifest.jsonl"
    text = path.read_text()
    path.write_text(text.replace('"split": "validation"', '"split": "train"', 1))
    for stage in ("train", "synthesise"):
        status, said = run(stage, "--force")
        assert status == 1 and "manifest.jsonl: was changed after it was written" in said, said
    assert not place.previous()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"manifest": 99}, "packed data of version 99"),
        (
            {"manifest": 1, "samples": ">i2"},
            "packed data of version 1 with samples '>i2'; this gansemble reads versions 1 to 2",
        ),
        ({"manifest": None}, "packed data of version None"),
        ({"splits": []}, "a damaged manifest header"),
        (None, "no manifest header; it was written by an earlier version or damaged"),
    ],
)
def test_a_manifest_of_another_version_or_machine_is_refused(place, run, done, changes, message):
    done("fetch", "prepare")
    path = place.packed() / "manifest.jsonl"
    header, _, rest = path.read_text().partition("\n")
    first = "" if changes is None else json.dumps(json.loads(header) | changes) + "\n"
    path.write_text(first + rest)
    status, said = run("train")
    assert status == 1 and f"manifest.jsonl:1: {message}" in said and "prepare stage with --force" in said


def test_an_id_with_a_line_separator_of_unicode_is_one_line(place, done):
    place.write("odd\u2028name", 3)
    done("fetch", "prepare")
    ids = [entry.id for entry in manifest.read(place.packed() / "manifest.jsonl")]
    assert len(ids) == 7 and any("\u2028" in id_ for id_ in ids)


def test_samples_lie_in_a_pack_little_endian_whatever_the_machine(place, done):
    done("fetch", "prepare")
    packed = Packed(place.packed(), "train")
    entry = packed.entries[0]
    (pack,) = place.packed().glob("audio-*.i16")
    samples, _ = soundfile.read(place.corpus / entry.path, dtype="int16")
    raw = pack.read_bytes()[2 * entry.offset : 2 * (entry.offset + entry.frames)]
    assert raw == samples.astype("<i2").tobytes()


def test_the_identity_is_that_of_the_content_not_of_its_place(place, done, tmp_path):
    """Another folder, other times, shards or one go: the same data; another clip, order or split is not."""
    done("fetch", "prepare")
    first = manifest.load(place.packed() / "manifest.jsonl")
    copied = place.at(data=tmp_path / "copy", dump=tmp_path / "dump", exp=tmp_path / "exp")
    shutil.copytree(place.corpus, copied.data, copy_function=shutil.copy)
    for shard in ("1/2", "2/2"):
        done("prepare", at=copied, words=("--shard", shard))
    said = done("prepare", at=copied)
    assert "put 2 shards together" in said
    second = manifest.load(copied.packed() / "manifest.jsonl")
    assert first.identity == second.identity and first.sha256 != second.sha256
    entries = list(first.entries)
    assert manifest.identity(entries[::-1]) != first.identity
    assert manifest.identity(entries[1:]) != first.identity


def test_a_shard_that_does_not_verify_is_not_put_together(place, run, done, tmp_path):
    place = place.at(dump=tmp_path / "dump")
    for shard in ("1/2", "2/2"):
        done("prepare", at=place, words=("--shard", shard))
    pack = next((tmp_path / "dump" / "shards" / "2-of-2").glob("audio-*.i16"))
    pack.write_bytes(bytes(pack.stat().st_size))
    status, said = run("prepare", at=place)
    assert status == 1 and "not what their shards' manifests say" in said
    assert not (tmp_path / "dump" / "manifest.jsonl").exists()


@pytest.mark.parametrize("when", ["between shards", "before the merge"])
def test_shards_of_files_replaced_by_others_of_their_size_and_time_are_not_put_together(
    place, done, run, tmp_path, when
):
    place = place.at(dump=tmp_path / "dump")

    def age() -> None:
        for path in place.corpus.iterdir():
            os.utime(path, (1e9, 1e9))

    age()
    done("prepare", at=place, words=("--shard", "1/2"))
    if when == "between shards":
        replace_every_clip(place)
        age()
    done("prepare", at=place, words=("--shard", "2/2"))
    if when == "before the merge":
        replace_every_clip(place)
        age()
    said = done("prepare", at=place)
    assert "put 2 shards together" not in said and "everything is packed here instead" in said
    for entry in manifest.read(place.dump / "manifest.jsonl"):
        samples, _ = soundfile.read(place.corpus / entry.path, dtype="int16")
        assert hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest() == entry.sha256


def test_a_prepare_that_dies_late_is_not_up_to_date(place, done, run, monkeypatch):
    """The manifest cannot be written: what is there is the old one, and the corpus counts as changed."""
    done("fetch", "prepare")
    place.write("clip0", 77)
    write = manifest.write

    def full(*_):
        raise OSError(28, "No space left on device", "manifest.jsonl")

    monkeypatch.setattr(manifest, "write", full)
    assert run("prepare")[0] == 1
    monkeypatch.setattr(manifest, "write", write)
    assert "1 file changed (clip0.wav)" in run("prepare", "--dry-run")[1]
    done("prepare")
    verify(place.packed())


def test_times_of_a_copied_corpus_are_noted_when_its_content_was_compared(place, run, done, monkeypatch):
    """So that the next command need not read it all again."""
    from gansemble.stages import corpus_files

    done("fetch", "prepare")
    for path in place.corpus.iterdir():
        os.utime(path, (1e9, 1e9))
    done("prepare")
    monkeypatch.setattr(corpus_files, "_hash", lambda path: pytest.fail(f"{path} is read again"))
    assert "up to date" in run("prepare", "--dry-run")[1]


# no clip that was trained on is scored ----------------------------------


def test_clips_that_were_trained_on_are_not_scored_after_another_split(place, run, done, tmp_path):
    """B prepares A's folder with other shares: A's stage 4 refuses, and names the clips."""
    a = place.at(dump=tmp_path / "dump", exp=tmp_path / "a")
    done("fetch", "prepare", "train", at=a)
    b = ("--set", "corpus.minimum_validation=5")
    done("prepare", at=a.at(exp=tmp_path / "b"), words=b)
    status, said = run("synthesise", at=a)
    assert status == 1 and "are among those this run was trained on" in said
    assert "3 clips moved to another split" in said and "--dump" in said


def test_without_a_folder_of_their_own_choice_other_splits_have_other_folders(place):
    def dump(*changes: str):
        return Project.of(place.recipe, changes).dump

    deciding = [
        "corpus.minimum_validation=3",
        "corpus.validation=0.5",
        "audio.sample_rate=22050",
        "data.channels=mix",
        "data.rate=resample",
    ]
    assert len({dump(), *(dump(change) for change in deciding)}) == 6
    assert dump() == dump("data.normalise=0.5") == dump("plan.segment=512") == dump("losses.mel.weight=1")
    assert dump("data.short=drop") != dump("data.short=drop", "plan.segment=512")
    assert Project.of(place.recipe, data=place.root / "elsewhere").dump != dump()


def test_twins_of_training_clips_are_left_out_of_the_scores_and_said_to_be(place, run, done):
    """The corpus holds one recording twice, once for training and once for validation."""
    done("fetch", "prepare")
    entries = manifest.read(place.packed() / "manifest.jsonl")
    trained = next(entry.id for entry in entries if entry.split == "train")
    held = next(entry.id for entry in entries if entry.split == "validation")
    shutil.copy(place.corpus / f"{trained}.wav", place.corpus / f"{held}.wav")
    said = done("prepare", "train", "synthesise")
    assert f"left out: 1 clip of the validation split ({held}), which the run was trained on, or which" in said
    index = json.loads((place.experiment / "samples" / "index.json").read_text())
    assert [row["id"] for row in index["clips"]] and held not in [row["id"] for row in index["clips"]]
    done("evaluate", "report")


def test_what_a_run_learnt_of_earlier_data_is_left_out_of_its_scores(place, run, done):
    """Trained on A, let go on with B, in which a clip of A's training split is held out: scored without it, not refused."""
    done("fetch", "prepare")
    assert run("train", "--stop-after", 2)[0] == 75
    trained = next(e.id for e in manifest.read(place.packed() / "manifest.jsonl") if e.split == "train")
    held = next(e.id for e in manifest.read(place.packed() / "manifest.jsonl") if e.split == "validation")
    shutil.copy(place.corpus / f"{trained}.wav", place.corpus / f"{held}.wav")
    place.write(trained, 99)
    done("prepare")
    done("train", words=("--allow-change",))
    assert f"left out: 1 clip of the validation split ({held})" in done("synthesise")


def test_a_lost_list_of_what_was_trained_on_lets_nothing_through(place, run, done):
    done("fetch", "prepare", "train")
    shutil.rmtree(place.experiment / "trained-on")
    done("synthesise")  # the packed data are the very ones, which tell
    place.write("clip9", 9)
    done("prepare")
    status, said = run("synthesise")
    assert status == 1 and "the list of what this run was trained on is gone" in said


def test_a_clip_changed_a_little_and_moved_to_the_held_out_ones_was_trained_on(place, run, done, tmp_path):
    """Another encoding of one recording has other samples and the same name."""
    a = place.at(dump=tmp_path / "dump", exp=tmp_path / "a")
    done("fetch", "prepare", "train", at=a)
    for path in place.corpus.iterdir():
        samples, rate = soundfile.read(path, dtype="int16")
        samples[0] += 1
        soundfile.write(path, samples, rate)
    done("prepare", at=a.at(exp=tmp_path / "b"), words=("--set", "corpus.minimum_validation=5"))
    status, said = run("synthesise", at=a)
    assert status == 1 and "are among those this run was trained on" in said


def test_experiments_on_other_recordings_of_the_same_names_are_not_compared(place, run, done, tmp_path, capsys):
    from gansemble.cli import main

    done(*STAGES)
    other = place.at(root=tmp_path / "other")
    shutil.copytree(place.root, other.root)
    shutil.rmtree(other.root / "exp")
    replace_every_clip(other)
    done(*STAGES, at=other)
    status, said = run("report", "--compare", other.experiment)
    assert status == 1 and "imitate other recordings than those of" in said
    with pytest.raises(SystemExit):
        main(["diff", str(place.experiment), str(other.experiment)])
    assert "are of other recordings in the two, though their names are the same" in capsys.readouterr().out


@pytest.mark.parametrize("change", [{"labels": {"pitch": 61}}, {"partner_sha256": "x"}, {"peak": 0.1}, {"id": "other"}])
def test_the_identity_covers_all_that_training_reads_of_a_clip(place, done, change):
    import dataclasses

    done("fetch", "prepare")
    entries = manifest.read(place.packed() / "manifest.jsonl")
    changed = [dataclasses.replace(entries[0], **change), *entries[1:]]
    assert manifest.identity(changed) != manifest.identity(entries)
    moved = [dataclasses.replace(entries[0], offset=9, pack="another", path="elsewhere"), *entries[1:]]
    assert manifest.identity(moved) == manifest.identity(entries)


def test_a_split_that_there_is_not_is_named_before_anything_is_packed(place, run, monkeypatch):
    from gansemble.data.manifest import Clip
    from gansemble_plugins.corpora.folder import Folder

    monkeypatch.setattr(Folder, "scan", lambda self, folder: [Clip("clip0", "clip0.wav", "dev")])
    status, said = run("prepare")
    assert status == 1 and "gives clip clip0 the split 'dev'; expected one of train, validation, test" in said


def test_altered_degraded_recordings_are_found_too(tmp_path):
    """A pack holds the degraded recording of a pair behind its clip."""
    from gansemble.data import verification
    from gansemble.data.manifest import ManifestEntry

    samples = np.arange(8, dtype="<i2")
    digests = [hashlib.sha256(part.tobytes()).hexdigest() for part in (samples[:4], samples[4:])]
    entry = ManifestEntry(
        "a", "a.wav", "train", 16000, 4, 1, 16000, 0, 0.5, digests[0], partner=4, partner_sha256=digests[1]
    )
    samples.tofile(tmp_path / "audio.i16")
    assert verification.wrong_clips(tmp_path, [entry]) == []
    samples[6] += 1
    samples.tofile(tmp_path / "audio.i16")
    assert verification.wrong_clips(tmp_path, [entry]) == [entry]


def test_a_reference_that_was_packed_anew_is_not_scored_against(place, run, done):
    done("fetch", "prepare", "train", "synthesise")
    held = next(e for e in manifest.read(place.packed() / "manifest.jsonl") if e.split == "validation")
    place.write(held.id, 77)
    done("prepare")
    status, said = run("evaluate")
    assert status == 1 and f"are not those that were imitated: {held.id}; the corpus was packed anew" in said


def test_training_clips_are_scored_where_the_recipe_names_them(place, done):
    words = ("--set", "synthesis.split=train")
    done("fetch", "prepare", "train", "synthesise", "evaluate", words=words)


# corpus files -----------------------------------------------------------


def test_a_file_replaced_by_one_of_its_size_and_time_is_seen(place, run, done):
    done("fetch", "prepare")
    path = place.corpus / "clip1.wav"
    facts = path.stat()
    samples, _ = soundfile.read(path, dtype="int16")
    soundfile.write(path, samples[::-1], 16000)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert path.stat().st_size == facts.st_size and path.stat().st_mtime_ns == facts.st_mtime_ns
    assert "(stale: corpus files: 1 file changed (clip1.wav)" in run("prepare", "--dry-run")[1]


@pytest.mark.parametrize("when", [0, 1_000_000_000, 4_000_000_000])
def test_times_alone_change_nothing_whichever_way_clocks_run(place, run, done, when):
    done("fetch", "prepare")
    for path in place.corpus.iterdir():
        os.utime(path, (when, when))
    assert "stage 1 prepare: up to date" in run("prepare")[1]


def test_a_split_file_in_the_corpus_changed_by_hand_makes_the_packed_data_stale(place, run, done):
    notes = place.corpus / "splits.csv"
    notes.write_text("clip0,train\n")
    done("fetch", "prepare")
    notes.write_text("clip0,valid\n")
    assert "(stale: corpus files: 1 file changed (splits.csv)" in run("prepare", "--dry-run")[1]


def test_a_file_that_changes_while_it_is_packed_is_refused_or_seen_afterwards(place, run, done, monkeypatch):
    """Read, and written to before the record: it counts as changed."""
    from gansemble.data import pack

    packed = pack.pack

    def meddling(*arguments, **options):
        found = packed(*arguments, **options)
        place.write("clip2", 222)
        return found

    monkeypatch.setattr(pack, "pack", meddling)
    done("fetch", "prepare")
    monkeypatch.undo()
    assert "(stale: corpus files: 1 file changed (clip2.wav)" in run("prepare", "--dry-run")[1]


def test_files_that_change_names_are_seen_though_sizes_and_times_are_alike(place, run, done):
    """Two recordings of one length and one time swap their names, which touches neither."""
    for path in place.corpus.iterdir():
        os.utime(path, (1e9, 1e9))
    done("fetch", "prepare")
    first, second = (place.corpus / f"clip{number}.wav" for number in (0, 1))
    rows = [json.loads(line) for line in (place.packed() / "sources.jsonl").read_text().splitlines()]
    first.rename(place.corpus / "clip")
    second.rename(first)
    (place.corpus / "clip").rename(second)
    changed = {name: path.stat().st_ctime_ns for name, path in (("clip0.wav", first), ("clip1.wav", second))}
    # As on a disk whose clock ticks so slowly that even the times of change are alike.
    lines = [json.dumps([*row[:3], changed.get(row[0], row[3]), *row[4:]]) + "\n" for row in rows]
    (place.packed() / "sources.jsonl").write_text("".join(lines))
    assert "(stale: corpus files: 2 files changed (clip0.wav, clip1.wav)" in run("prepare", "--dry-run")[1]


def test_a_link_that_leads_to_another_recording_is_seen(place, run, done, tmp_path):
    """As where recordings lie in a store, and links to them in the corpus."""
    store = tmp_path / "store"
    shutil.move(place.corpus, store)
    place.corpus.mkdir()
    for path in store.iterdir():
        os.utime(path, (1e9, 1e9))
        (place.corpus / path.name).symlink_to(path)
    done("fetch", "prepare")
    (place.corpus / "clip0.wav").unlink()
    (place.corpus / "clip0.wav").symlink_to(store / "clip1.wav")
    assert "(stale: corpus files: 1 file changed (clip0.wav)" in run("prepare", "--dry-run")[1]


def test_a_table_that_changes_while_the_corpus_is_packed_is_seen_afterwards(place, run, done, monkeypatch):
    """Of the same length, so that only its content tells; nobody knows which content was read."""
    from gansemble.data import pack

    table = place.corpus / "labels.csv"
    table.write_text("clip0,60\n")
    packed = pack.pack

    def meddling(*arguments, **options):
        found = packed(*arguments, **options)
        table.write_text("clip0,61\n")
        return found

    monkeypatch.setattr(pack, "pack", meddling)
    done("fetch", "prepare")
    monkeypatch.undo()
    assert "(stale: corpus files: 1 file changed (labels.csv)" in run("prepare", "--dry-run")[1]


def test_splits_edited_with_the_headers_hash_made_anew_are_refused(place, run, done):
    """Whoever knows the format can make the lines' hash; the splits' identities must be made anew, too."""
    done("fetch", "prepare")
    path = place.packed() / "manifest.jsonl"
    header, _, body = path.read_text().partition("\n")
    body = body.replace('"split": "validation"', '"split": "train"', 1)
    digest = hashlib.sha256(body.encode()).hexdigest()
    path.write_text(json.dumps(json.loads(header) | {"sha256": digest}) + "\n" + body)
    status, said = run("train")
    assert status == 1 and "its splits are not those of the lines below, which were changed" in said


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_samples_that_are_not_those_of_stage_4_are_not_scored(place, run, done, words_of, how):
    done("fetch", "prepare", "train", "synthesise")
    sample = next((place.experiment / "samples" / "validation").glob("*.wav"))
    if how == "deleted":
        sample.unlink()
    else:
        facts = sample.stat()
        audio, rate = soundfile.read(sample, dtype="int16")
        soundfile.write(sample, audio[::-1], rate)
        assert sample.stat().st_size == facts.st_size
    status, said = run("evaluate")
    assert status == 1 and f"1 of 2 samples are gone or not those that stage 4 made (validation/{sample.name})" in said
    if how == "deleted":
        assert words_of(place.experiment)["synthesise"] == "stale"
    done("synthesise", words=("--force",))
    done("evaluate")


def test_a_reader_finds_the_packed_data_gone_in_words(place, done):
    done("fetch", "prepare")
    packed = Packed(place.packed(), "train")
    next(place.packed().glob("audio-*.i16")).unlink()
    assert packed.read(0).any()  # what was opened stays readable
    with pytest.raises(DataError, match="expected at least"):
        Packed(place.packed(), "train")
