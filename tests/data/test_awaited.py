"""A network folder that is away for a moment is waited for with words; a file that was deleted is not."""

import errno
import logging
import threading
import time
from pathlib import Path

import pytest
from tests.data.test_pack_cache import made

from gansemble.data import awaited as module
from gansemble.data.awaited import awaited, away
from gansemble.data.packed import Packed
from gansemble.errors import DataError


@pytest.fixture(autouse=True)
def quickly(monkeypatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.02)


def test_packed_clips_are_read_on_when_the_folder_is_back(tmp_path, caplog):
    """The pack is opened anew, as one that is open may be stale for ever."""
    dump = made(tmp_path / "network")
    packed = Packed(dump, "train")
    packed._packs._drop("audio-a.i16")
    dump.rename(tmp_path / "away")
    back = threading.Timer(0.3, lambda: (tmp_path / "away").rename(dump))
    back.start()
    with caplog.at_level(logging.WARNING):
        begun = time.monotonic()
        assert packed.read(0, 7, 1)[0] * 32768 == 7 and time.monotonic() - begun > 0.2
    back.join()
    assert caplog.text.count(f"{dump} is away (No such file or directory): it is waited for up to 300 s") == 1
    assert f"{dump} is back after" in caplog.text


def test_a_pack_that_is_gone_from_a_folder_that_is_there_is_told_at_once(tmp_path):
    dump = made(tmp_path / "network")
    packed = Packed(dump, "train")
    packed._packs._drop("audio-a.i16")
    (dump / "audio-a.i16").unlink()
    with pytest.raises(
        DataError, match=r"audio-a\.i16: the packed audio is gone.*the prepare stage, which packs its clips again"
    ):
        packed.read(0)


def test_a_pack_that_was_cut_is_named_with_what_to_do(tmp_path):
    dump = made(tmp_path / "network")
    packed = Packed(dump, "train")
    with (dump / "audio-a.i16").open("r+b") as stream:
        stream.truncate(100)
    with pytest.raises(
        DataError, match=r"audio-a\.i16: ends at byte 100 where 2000 are expected.*Delete it and run the prepare stage"
    ):
        packed.read(0)


def test_it_is_not_waited_for_ever(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    tried = []

    def act() -> None:
        tried.append(1)
        raise OSError(errno.ESTALE, "Stale file handle")

    with caplog.at_level(logging.WARNING), pytest.raises(OSError, match="Stale file handle"):
        awaited(act, tmp_path / "sign")
    assert 3 < len(tried) < 20 and caplog.text.count("is away") == 1


def test_it_is_told_again_while_it_is_waited_for(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(module, "TELL_SECONDS", 0.03)
    answers = iter([OSError(errno.EIO, "Input/output error")] * 5)

    def act() -> int:
        for error in answers:
            raise error
        return 7

    with caplog.at_level(logging.WARNING):
        assert awaited(act, tmp_path / "sign") == 7
    assert 2 <= caplog.text.count("is away (Input/output error)") <= 4


@pytest.mark.parametrize(
    ("number", "present", "expected"),
    [
        (errno.ENOENT, True, False),
        (errno.ENOENT, False, True),
        (errno.ESTALE, True, True),
        (errno.EIO, True, True),
        (errno.ENOTCONN, False, True),
        (errno.EACCES, False, False),
        (errno.EMFILE, False, False),
    ],
)
def test_which_errors_are_those_of_a_folder_that_is_away(tmp_path: Path, number, present, expected):
    if present:
        (tmp_path / "sign").touch()
    assert away(OSError(number, "x"), tmp_path / "sign") is expected


def test_what_goes_well_is_not_spoken_of(tmp_path, caplog):
    assert awaited(lambda: 3, tmp_path / "sign") == 3 and not caplog.text
