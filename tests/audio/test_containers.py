"""What containers state of their length, held against what is there: each fault is named with both lengths."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gansemble.audio import files
from gansemble.audio.reader import AudioFault, AudioReader
from gansemble.errors import DataError

RATE = 16000
#: Suffix: soundfile's container and sample format, and the bytes of a second where samples are uncompressed.
KINDS = {
    "wav": ("WAV", "PCM_16"),
    "wavex": ("WAVEX", "PCM_24"),
    "ulaw.wav": ("WAV", "ULAW"),
    "adpcm.wav": ("WAV", "IMA_ADPCM"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "alac.caf": ("CAF", "ALAC_16"),
    "au": ("AU", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def sound(seconds: float = 4.0) -> np.ndarray:
    time = np.arange(int(RATE * seconds)) / RATE
    return (0.4 * np.sin(2 * np.pi * 300 * time * (1 + 0.1 * time)) + 0.1 * np.sin(900 * time)).astype(np.float32)


def written(folder: Path, kind: str, seconds: float = 4.0) -> Path:
    path = folder / f"a.{kind}"
    container, subtype = KINDS[kind]
    soundfile.write(path, sound(seconds), RATE, format=container, subtype=subtype)
    return path


def fault_of(path: Path) -> AudioFault:
    with pytest.raises(AudioFault) as caught, AudioReader(path) as reader:
        reader.read()
    return caught.value


def field(path: Path, place: int, form: str, value: int) -> None:
    """Writes a number into a file's header."""
    data = bytearray(path.read_bytes())
    struct.pack_into(form, data, place, value)
    path.write_bytes(data)


def at(path: Path, name: bytes) -> int:
    return path.read_bytes().index(name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_is_refused(tmp_path, kind, share):
    path = written(tmp_path, kind)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    fault = fault_of(path)
    assert fault.code in ("truncated", "empty", "unreadable", "damaged")
    assert str(path) in str(fault)
    if share == 0.5 and kind not in ("opus", "ogg", "alac.caf"):  # these state no length, or in bytes
        stated, there = (float(word) for word in str(fault).split() if word.replace(".", "", 1).isdigit())
        assert stated == pytest.approx(4, abs=0.2) and there == pytest.approx(2, abs=0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_recording_behind_the_first_is_not_left_out_without_a_word(tmp_path, kind):
    path = written(tmp_path, kind)
    path.write_bytes(path.read_bytes() * 2)
    assert fault_of(path).code == "concatenated"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("flac",)])
def test_bytes_behind_the_audio_are_remarked_and_not_read(tmp_path, kind):
    path = written(tmp_path, kind)
    path.write_bytes(path.read_bytes() + b"written by a recorder")
    with AudioReader(path) as reader:
        assert len(reader.read()[0]) == reader.stated and "bytes that are no audio follow" in reader.remark


def test_tags_behind_the_audio_are_nothing_odd(tmp_path):
    path = written(tmp_path, "mp3")
    tag = b"TAG" + b"title".ljust(125, b"\0")
    ape = b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0xA0000000) + bytes(8 + 32)
    path.write_bytes(path.read_bytes() + ape + tag)
    with AudioReader(path) as reader:
        assert reader.remark == ""
    path = written(tmp_path, "wav")
    path.write_bytes(
        path.read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO" + b"id3 " + struct.pack("<I", 3) + b"abc\0"
    )
    with AudioReader(path) as reader:
        assert reader.remark == "" and reader.read().shape == (1, 4 * RATE)


def test_a_hole_is_found_though_decoders_pass_over_it(tmp_path):
    for kind, told in (
        ("ogg", "checksum"),
        ("opus", "checksum"),
        ("mp3", "a piece is missing"),
        ("flac", "decoding breaks off"),
    ):
        path = written(tmp_path, kind, 20.0)
        content = bytearray(path.read_bytes())
        content[len(content) // 2 : len(content) // 2 + 700] = bytes(700)
        path.write_bytes(content)
        fault = fault_of(path)
        assert fault.code == "damaged" and told in str(fault), kind


def test_a_page_that_is_missing_is_counted(tmp_path):
    path = written(tmp_path, "ogg", 30.0)
    content = path.read_bytes()
    begins = [place for place in range(len(content)) if content[place : place + 5] == b"OggS\0"]
    assert len(begins) > 5
    path.write_bytes(content[: begins[3]] + content[begins[4] :])
    assert "1 pages are missing after" in str(fault_of(path))


SIZES = (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0x7FFF0000, 0xFFFFFFFF - 36)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("whole", [None, 0, 0xFFFFFFFF])
def test_a_wav_of_a_streaming_writer_is_read_to_its_end(tmp_path, size, whole):
    path = written(tmp_path, "wav")
    field(path, at(path, b"data") + 4, "<I", size)
    if whole is not None:
        field(path, 4, "<I", whole)
    assert_whole(path)


def assert_whole(path: Path) -> None:
    with AudioReader(path) as reader:
        audio = reader.read()
        assert reader.remark == ""
    assert audio.shape == (1, 4 * RATE) and np.abs(audio[0] - sound()).max() < 2**-14
    assert files.info(path).frames == 4 * RATE


@pytest.mark.parametrize(
    ("kind", "name", "behind", "form", "sizes"),
    [
        ("rf64", b"ds64", 16, "<Q", (0, 2**64 - 1, 2**63 - 1)),
        ("w64", b"data", 16, "<Q", (0, 24, 2**63 - 1)),
        ("aiff", b"SSND", 4, ">I", (0, 8, 0x7F000008, 0xFFFFFFFF)),
        ("caf", b"data", 4, ">Q", (0, 2**64 - 1, 2**62)),
        ("au", b".snd", 8, ">I", (0, 0xFFFFFFFF, 0x7FFFFFFF)),
    ],
)
def test_other_containers_of_streaming_writers_are_read_to_their_ends(tmp_path, kind, name, behind, form, sizes):
    for size in sizes:
        path = written(tmp_path, kind)
        if kind == "au" and path.read_bytes()[:4] == b"dns.":
            field(path, 8, "<I", size)
        else:
            field(path, at(path, name) + behind, form, size)
        assert_whole(path)


def test_a_flac_whose_length_was_never_filled_in_is_read_to_its_end(tmp_path):
    path = written(tmp_path, "flac")
    data = bytearray(path.read_bytes())
    data[8 + 13] &= 0xF0
    data[8 + 14 : 8 + 18] = bytes(4)
    path.write_bytes(data)
    assert_whole(path)


def test_a_header_that_states_less_than_there_is_loses_nothing_without_a_word(tmp_path):
    path = written(tmp_path, "wav")
    field(path, at(path, b"data") + 4, "<I", RATE)
    assert "3.500 s of audio, follow the end that its header states" in str(fault_of(path))
    path = written(tmp_path, "flac")
    field(path, 8 + 14, ">I", RATE)
    assert "its header states 1.000 s, it holds 4.000 s, the rest of which would be left out" in str(fault_of(path))


def test_a_wav_that_really_holds_nothing_is_empty(tmp_path):
    path = tmp_path / "none.wav"
    soundfile.write(path, np.zeros(0), RATE)
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO")
    assert fault_of(path).code == "empty"


@pytest.mark.parametrize(
    ("kind", "name", "behind", "form", "value", "told"),
    [
        ("wav", b"fmt ", 16, "<I", 123456, "123456 bytes a second"),
        ("wav", b"fmt ", 20, "<H", 3, "3 bytes for 1 samples of 16 bits"),
        ("w64", b"fmt ", 32, "<I", 99, "99 bytes a second"),
        ("aiff", b"COMM", 10, ">I", 5, "COMM counts 5 samples"),
        ("aiff", b"SSND", 8, ">I", 4096, "SSND has room for"),
        ("wav", b"fmt ", 12, "<I", 3, "bytes a second at 3 Hz"),
        ("au", b".snd", 16, ">I", 40_000_000, "a sample rate of 40000000 Hz"),
        ("au", b".snd", 20, ">I", 900, "900 channels"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(tmp_path, kind, name, behind, form, value, told):
    path = written(tmp_path, kind)
    if kind == "au" and path.read_bytes()[:4] != name:
        pytest.skip("written in the other byte order")
    field(
        path,
        at(path, name) + behind - (4 if kind == "aiff" and name == b"COMM" else 0) + (4 if name == b"COMM" else 0),
        form,
        value,
    )
    fault = fault_of(path)
    assert fault.code == "damaged" and told in str(fault)


def test_a_name_in_any_encoding_is_opened(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    path.write_bytes(written(tmp_path, "wav").read_bytes())
    assert files.read(path)[0].shape == (1, 4 * RATE)


def test_a_folder_and_a_file_that_may_not_be_read_are_no_audio(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(DataError, match=r"folder\.wav: is a folder"):
        files.read(tmp_path / "folder.wav")


def test_a_page_that_is_called_an_mp3_is_no_audio(tmp_path):
    """libsndfile says that there is no such file."""
    (tmp_path / "page.mp3").write_bytes(b"<html>not found</html>")
    with pytest.raises(
        DataError, match=r"page\.mp3: not readable as audio \(no kind of audio that libsndfile knows\); 22 bytes"
    ):
        files.read(tmp_path / "page.mp3")


@pytest.mark.parametrize(("rate", "to_rate"), [(22051, 22050), (44101, 16000), (8001, 48000)])
def test_rates_without_a_common_factor_are_resampled_in_little_memory(rate, to_rate):
    time = np.arange(rate) / rate
    out = files.resample(np.sin(2 * np.pi * 440 * time)[None].astype(np.float32), rate, to_rate)
    assert out.shape == (1, to_rate) and out.dtype == np.float32
    wanted = np.sin(2 * np.pi * 440 * np.arange(to_rate) / to_rate)
    assert np.abs(out[0] - wanted)[500:-500].max() < 1e-3
