"""Before a byte is downloaded, the user is told of it and asked."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gansemble.cli import downloads
from gansemble.data import consent, download
from gansemble.data.consent import Offer, announced, asking, demand, megabytes
from gansemble.errors import DataError

BIG = 2_600_000_000


@pytest.fixture(autouse=True)
def space(monkeypatch) -> None:
    monkeypatch.setattr(consent.shutil, "disk_usage", lambda path: SimpleNamespace(free=500 * 10**9))
    monkeypatch.delenv(downloads.YES, raising=False)


class Stream(io.StringIO):
    def __init__(self, text: str, terminal: bool) -> None:
        super().__init__(text)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def offer(folder: Path, size: int | None = BIG, name: str = "corpus.tar.bz2") -> Offer:
    return Offer(f"https://data.example.org/speech/{name}", folder / name, size)


@pytest.fixture
def answering(monkeypatch):
    """``answering(text, terminal)``: what the user types at the question."""

    def answer(text: str = "", terminal: bool = True) -> None:
        monkeypatch.setattr("sys.stdin", Stream(text, terminal))
        monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)

    return answer


def test_an_offer_says_what_from_where_how_large_and_to_where(tmp_path):
    place = f"from data.example.org to {tmp_path}"
    assert offer(tmp_path).words() == f"corpus.tar.bz2, 2.6 GB, {place}"
    assert offer(tmp_path, None).words() == f"corpus.tar.bz2, of unknown size, {place}"
    (tmp_path / "corpus.tar.bz2.part").write_bytes(b"x" * 600_000)
    assert offer(tmp_path, 1_600_000).words() == f"corpus.tar.bz2, 2 MB (1 MB of it to go), {place}"


@pytest.mark.parametrize(("size", "text"), [(20_000_000, "20 MB"), (2_748_572_632, "2.7 GB"), (25 * 10**9, "25 GB")])
def test_sizes_are_told_in_decimal_units(size, text):
    assert megabytes(size) == text


def test_a_small_download_is_told_and_not_asked_for(tmp_path, answering, capsys):
    answering(terminal=False)
    downloads.ask([offer(tmp_path, downloads.SMALL)])
    assert capsys.readouterr().err == f"to download: corpus.tar.bz2, 20 MB, from data.example.org to {tmp_path}\n"


@pytest.mark.parametrize(("typed", "goes"), [("y\n", True), ("n\n", False), ("\n", False), ("yes\n", True)])
def test_a_large_one_is_asked_for_on_a_terminal(tmp_path, answering, capsys, typed, goes):
    answering(typed)
    if goes:
        downloads.ask([offer(tmp_path)])
    else:
        with pytest.raises(DataError, match="not downloaded; name a folder that holds the corpus with --data"):
            downloads.ask([offer(tmp_path)])
    err = capsys.readouterr().err
    assert "to download: corpus.tar.bz2, 2.6 GB" in err and "free there: 500 GB" in err and "Download? [y/N]" in err


@pytest.mark.parametrize("size", [BIG, None])
def test_without_a_terminal_it_is_refused_unless_agreed_beforehand(tmp_path, answering, monkeypatch, size):
    answering(terminal=False)
    with pytest.raises(DataError, match=r"nobody can be asked here; give --yes, or set GANSEMBLE_YES=1"):
        downloads.ask([offer(tmp_path, size)])
    downloads.ask([offer(tmp_path, size)], yes=True)
    monkeypatch.setenv(downloads.YES, "1")
    downloads.ask([offer(tmp_path, size)])


def test_several_files_are_asked_for_once_and_those_that_are_there_not(tmp_path):
    asked: list[Any] = []
    files = [offer(tmp_path, 10, name) for name in ("a", "b", "c")]
    files[1].path.touch()
    with asking(asked.append):
        demand(*files)
        for each in files:
            demand(each)
    assert asked == [[files[0], files[2]]]
    demand(files[0])  # and nobody is asked who has not said how
    assert len(asked) == 1


def test_what_is_larger_than_the_free_space_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(consent.shutil, "disk_usage", lambda path: SimpleNamespace(free=10**9))
    with (
        asking(lambda offers: pytest.fail("asked")),
        pytest.raises(DataError, match=r"2\.6 GB .* and 1\.0 GB are free"),
    ):
        demand(offer(tmp_path / "not" / "there"))


def test_a_server_that_cannot_be_reached_tells_no_size():
    assert announced("http://127.0.0.1:9/corpus.bin") is None


def test_a_refused_download_makes_no_connection_and_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_collect", lambda *_: pytest.fail("a connection"))

    def refuse(offers: Any) -> None:
        raise DataError("no")

    with asking(refuse), pytest.raises(DataError, match="no"):
        download.download("https://data.example.org/a.bin", tmp_path / "new" / "a.bin", sha256="0" * 64, size=BIG)
    assert not (tmp_path / "new").exists()
