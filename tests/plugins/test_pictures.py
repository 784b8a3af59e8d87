"""Pictures as clips: CIFAR-10's batches, their conversion, what they refuse, and the representation."""

import hashlib
import json
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from gansemble.abilities import PictureRepresentation
from gansemble.audio import files
from gansemble.audio.levels import from_int16, to_int16
from gansemble.data import pack
from gansemble.data.doctor import examine
from gansemble.errors import DataError
from gansemble.recipe.sections import Data
from gansemble_plugins.basics.pictures import Picture
from gansemble_plugins.corpora import pictures
from gansemble_plugins.corpora.cifar10 import FOLDER, Cifar10
from gansemble_plugins.corpora.pictures import BATCHES, MINI_CLASSES, RECORD, to_samples

torch.set_num_threads(1)
VALUES = np.arange(256, dtype=np.uint8)


@pytest.fixture(scope="module")
def mini(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cifar") / "mini"
    Cifar10().mini(folder)
    return folder


@pytest.fixture
def copy(mini, tmp_path) -> Path:
    """The mini corpus without the mark of one, as if it were the real one."""
    folder = Path(shutil.copytree(mini, tmp_path / "cifar10"))
    (folder / ".mini.json").unlink()
    return folder


def records(folder: Path, batch: str) -> np.ndarray:
    return np.fromfile(folder / FOLDER / f"{batch}.bin", np.uint8).reshape(-1, RECORD)


def times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*.wav"))}


# The representation ------------------------------------------------------


def test_every_8_bit_value_survives_wav_pack_and_representation(tmp_path):
    part = Picture(segment=768, channels=3, height=16, width=16)
    values = np.stack([np.roll(VALUES, 7 * plane) for plane in range(3)])
    samples = to_samples(values.reshape(-1))
    assert samples.dtype == np.int16 and np.diff(to_samples(VALUES).astype(int)).min() == 256
    for audio in (from_int16(samples), from_int16(to_int16(from_int16(samples))), (values.reshape(-1) / 127.5 - 1)):
        shown = part.picture(np.asarray(audio, np.float32))
        assert shown.dtype == np.uint8 and shown.flags.c_contiguous
        assert np.array_equal(shown, values.reshape(3, 16, 16).transpose(1, 2, 0))
    assert part.picture(np.full(768, -1.0)).max() == 0 and part.picture(np.full(768, 1.0)).min() == 255


def test_a_picture_is_channels_of_rows_and_comes_back_as_it_was():
    part = Picture(segment=2 * 3 * 3, channels=3, height=2, width=3)
    audio = torch.arange(36.0).reshape(2, 1, 18)
    x = part.encode(audio)
    assert x.shape == (2, 3, 2, 3) and x[1, 2, 1, 0] == 18 + 2 * 6 + 3
    assert torch.equal(part.decode(x), audio)
    assert part.encode(audio.half()).dtype == torch.float16
    assert part.decode(x.to("meta")).shape == (2, 1, 18)
    assert part.encode(audio[:0]).shape == (0, 3, 2, 3)


def test_grey_is_shown_in_three_channels_and_what_lies_beyond_is_clipped():
    part = Picture(segment=6, channels=1, height=2, width=3)
    assert isinstance(part, PictureRepresentation)
    shown = part.picture(np.array([-9.0, -1.0, 0.0, 0.5, 1.0, 9.0], np.float32))
    assert shown.shape == (2, 3, 3)
    assert shown[..., 0].tolist() == [[0, 0, 128], [191, 255, 255]]
    assert (shown == shown[..., :1]).all()


def test_the_representation_refuses_what_is_no_picture():
    part = Picture()
    for audio in (torch.zeros(2, 1, 3071), torch.zeros(2, 2, 3072), torch.zeros(1, 3072)):
        with pytest.raises(ValueError, match=r"expected clips \[B, 1, 3072\].*got \["):
            part.encode(audio)
    for x in (torch.zeros(2, 3, 32, 31), torch.zeros(2, 1, 32, 32), torch.zeros(3, 32, 32)):
        with pytest.raises(ValueError, match=r"expected pictures \[B, 3, 32, 32\], got \["):
            part.decode(x)
    with pytest.raises(ValueError, match=r"got shape \(1, 3072\)"):
        part.picture(np.zeros((1, 3072)))
    for odd in (np.nan, np.inf):
        with pytest.raises(ValueError, match="NaN or Inf"):
            part.picture(np.full(3072, odd))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"segment": 6144}, r"plan\.segment must be 3072, .* 3 x 32 x 32, got 6144"),
        ({"channels": 1}, r"plan\.segment must be 1024"),
        ({"channels": 2}, r"channels must be 3 \(red, green, blue\) or 1 \(grey\), got 2"),
        ({"height": 0}, "must be positive, got 0 and 32"),
    ],
)
def test_sizes_that_cannot_be_are_refused_by_the_part_and_by_its_contract(arguments, message):
    defaults = {"segment": 3072, "channels": 3, "height": 32, "width": 32}
    with pytest.raises(ValueError, match=message):
        Picture(**arguments)
    with pytest.raises(ValueError, match=message):
        Picture.contract(defaults | arguments)
    given = Picture.contract(defaults)
    assert (given.domain, given.shape, given.granularity, given.shortest) == ("picture", (3, 32, 32), 3072, 3072)


# The corpus --------------------------------------------------------------


def test_clips_are_the_batches_pictures_bit_by_bit(mini):
    part, clips = Picture(), {clip.id: clip for clip in Cifar10().scan(mini)}
    assert len(clips) == 120
    for batch in ("data_batch_1", "data_batch_5", "test_batch"):
        for number, record in enumerate(records(mini, batch)):
            clip = clips[f"{batch}-{number:05d}"]
            audio, rate = files.read(mini / clip.path)
            assert rate == 3072 and audio.shape == (1, 3072)
            assert np.array_equal(part.picture(audio[0]), record[1:].reshape(3, 32, 32).transpose(1, 2, 0))
            assert clip.labels == {"label": record[0], "class": MINI_CLASSES[record[0]]}


def test_packed_clips_are_the_same_pictures(mini, tmp_path):
    clips = Cifar10().scan(mini)[:20]
    examined = examine(mini, clips, sample_rate=3072, segment=3072, jobs=1)
    assert not [found for found in examined.findings if found.severity == "error"]
    facts = {fact.id: fact for fact in examined.facts}
    packed = pack.pack(pack.plan(clips, facts, mini, 3072, shortest=0), tmp_path, 3072, Data(), 1)
    samples = np.fromfile(tmp_path / packed.entries[0].pack, "<i2")
    shown = [Picture().picture(from_int16(samples[e.offset : e.offset + e.frames])) for e in packed.entries]
    wanted = [record[1:].reshape(3, 32, 32).transpose(1, 2, 0) for record in records(mini, "data_batch_1")]
    assert np.array_equal(shown, wanted)


def test_the_test_batch_is_the_test_set_and_each_class_is_validated(mini):
    clips = Cifar10(validation=0.2).scan(mini)
    assert all((clip.split == "test") == clip.id.startswith("test_batch") for clip in clips)
    held_out = Counter(clip.labels["label"] for clip in clips if clip.split == "validation")
    assert set(held_out) == set(range(10)) and 10 <= sum(held_out.values()) <= 40
    assert not [clip for clip in Cifar10(validation=0.0).scan(mini) if clip.split == "validation"]
    assert Cifar10().describe(mini).startswith("CIFAR-10 in part (120 of 60,000 pictures there), ")
    with pytest.raises(ValueError, match="validation"):
        Cifar10(validation=1.0)


def test_an_archive_is_checked_unpacked_and_converted_once(mini, tmp_path):
    part, folder = Cifar10(), tmp_path / "cifar10"
    archive = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(mini / FOLDER, FOLDER)
    with pytest.raises(DataError, match="expected 170052171 bytes"):
        part.fetch(folder)
    part.archive_bytes = archive.stat().st_size
    with pytest.raises(DataError, match="expected sha256 c4a38c50a1bc5f3a"):
        part.fetch(folder)
    part.sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    part.fetch(folder)
    assert part.scan(folder) == part.scan(mini)
    before = times(folder)
    part.fetch(folder)
    assert times(folder) == before and len(before) == 120
    shutil.rmtree(folder / FOLDER)  # whoever has the clips needs the batches no more
    part.fetch(folder)
    assert times(folder) == before


def test_batches_of_yours_are_converted_where_they_lie(mini, tmp_path):
    for name in (FOLDER, ""):
        folder = tmp_path / f"mine{name}"
        shutil.copytree(mini / FOLDER, folder / name)
        with pytest.raises(DataError, match="were not turned into clips yet; run stage fetch"):
            Cifar10().scan(folder)
        Cifar10().fetch(folder)
        assert Cifar10().scan(folder) == Cifar10().scan(mini)


@pytest.mark.parametrize("fault", ["gone", "cut", "index", "batch"])
def test_clips_that_are_not_whole_or_of_other_batches_are_made_again(fault, copy):
    clip = copy / "clips/data_batch_2/00003.wav"
    whole = clip.read_bytes()
    if fault == "gone":
        clip.unlink()
    elif fault == "cut":
        clip.write_bytes(whole[:100])
    elif fault == "index":
        (copy / "clips/labels.json").write_text("{")
    else:
        changed = records(copy, "data_batch_2")
        changed[3, 1:] = 255 - changed[3, 1:]
        changed.tofile(copy / FOLDER / "data_batch_2.bin")
    Cifar10().fetch(copy)
    assert (clip.read_bytes() == whole) == (fault != "batch")
    assert len(Cifar10().scan(copy)) == 120 and len(times(copy)) == 120


def test_a_conversion_that_is_cut_off_leaves_nothing_that_counts(copy, monkeypatch):
    shutil.rmtree(copy / "clips")
    calls = []

    def breaks_off(values):
        calls.append(len(values))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return to_samples(values)

    with monkeypatch.context() as patched:
        patched.setattr(pictures, "to_samples", breaks_off)
        with pytest.raises(KeyboardInterrupt):
            Cifar10().fetch(copy)
    assert not (copy / "clips").exists() and not list(copy.glob(".clips*"))
    with pytest.raises(DataError, match="run stage fetch"):
        Cifar10().scan(copy)
    Cifar10().fetch(copy)
    assert len(Cifar10().scan(copy)) == 120


def test_files_of_others_among_the_clips_are_not_deleted(copy):
    (copy / "clips/notes.txt").write_text("mine")
    Cifar10().fetch(copy)  # nothing to do
    (copy / "clips/data_batch_1/00000.wav").unlink()
    with pytest.raises(DataError, match=r"clips/notes\.txt \(with 0 others\) is no clip of CIFAR-10; move it out"):
        Cifar10().fetch(copy)
    assert (copy / "clips/notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "data_batch_4.bin").unlink(), r"data_batch_4\.bin: no such file"),
        (lambda f: (f / "test_batch.bin").write_bytes(bytes(RECORD - 1)), r"expected records of 3073 bytes, got 3072"),
        (lambda f: (f / "test_batch.bin").write_bytes(b""), "got 0 bytes"),
        (lambda f: (f / "test_batch.bin").write_bytes(bytes(RECORD) + b"\xff" * RECORD), "picture 1 has label 255"),
        (lambda f: (f / "batches.meta.txt").unlink(), r"batches\.meta\.txt: no such file"),
        (lambda f: (f / "batches.meta.txt").write_text("cat\ndog\n"), "names of 10 classes, got cat, dog"),
        (lambda f: (f / "batches.meta.txt").write_text("cat\n" * 10), "names of 10 classes"),
    ],
)
def test_damaged_batches_are_refused(damage, message, mini, tmp_path):
    folder = Path(shutil.copytree(mini / FOLDER, tmp_path / "data" / FOLDER))
    damage(folder)
    with pytest.raises(DataError, match=message):
        Cifar10().fetch(tmp_path / "data")
    assert not (tmp_path / "data/clips").exists()


def test_folders_without_batches_or_with_a_damaged_index_are_refused(copy, tmp_path):
    with pytest.raises(DataError, match=r"absent: expected CIFAR-10's binary version .*, no such folder"):
        Cifar10().scan(tmp_path / "absent")
    (tmp_path / "python").mkdir()
    (tmp_path / "python/data_batch_1").write_bytes(b"pickle")
    with pytest.raises(DataError, match=r"python: expected .*found no batch"):
        Cifar10().scan(tmp_path / "python")
    with pytest.raises(DataError, match=r"python: holds something, but not CIFAR-10's binary version"):
        Cifar10().fetch(tmp_path / "python")
    index = copy / "clips/labels.json"
    noted = json.loads(index.read_text())
    noted["labels"]["test_batch"][0] = 10
    for content in ("[]", "{", json.dumps(noted)):
        index.write_text(content)
        with pytest.raises(DataError, match=r"labels\.json: damaged"):
            Cifar10().scan(copy)


def test_a_class_without_a_training_picture_is_refused(copy):
    for batch in BATCHES:
        kept = records(copy, batch)
        kept[kept[:, 0] != 9].tofile(copy / FOLDER / f"{batch}.bin")
    Cifar10().fetch(copy)
    with pytest.raises(DataError, match=r"1 of 10 classes have no clip for training \(speckle\)"):
        Cifar10().scan(copy)


def test_the_mini_pictures_of_a_class_differ_and_those_of_two_look_otherwise():
    drawn = {label: [pictures.draw(label, (9, label, n)) for n in range(2)] for label in range(10)}
    assert all(
        picture.shape == (3, 32, 32) and picture.dtype == np.uint8 for each in drawn.values() for picture in each
    )
    assert all(not np.array_equal(*each) for each in drawn.values())

    def unevenness(label: int, axis: int) -> float:
        grey = pictures.draw(label, (1, label)).mean(0)
        return float(grey.mean(axis).std() / grey.std())

    rows, columns = MINI_CLASSES.index("rows"), MINI_CLASSES.index("columns")
    assert unevenness(rows, 1) > 0.9 > 0.3 > unevenness(rows, 0)
    assert unevenness(columns, 0) > 0.9 > 0.3 > unevenness(columns, 1)
