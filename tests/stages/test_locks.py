"""Locks: one writer at a time, none taken from the living, none held for ever by the dead."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gansemble.errors import FolderInUse
from gansemble.stages import locks, owners
from gansemble.stages.locks import FolderLock
from gansemble.stages.owners import identify


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(locks, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(locks, "FORCE_SECONDS", 0.3)


def hold(folder: Path, age: float = 0.0, **facts: object) -> Path:
    """A lock as another run would have left it."""
    owner = folder / ".lock" / "owner.json"
    owner.parent.mkdir(parents=True)
    owner.write_text(json.dumps(identify() | {"token": "theirs", "since": "2026-01-01 00:00:00"} | facts))
    os.utime(owner, (time.time() - age,) * 2)
    return owner


def owner_of(folder: Path) -> dict:
    return json.loads((folder / ".lock" / "owner.json").read_text())


def test_a_number_that_another_process_has_now_is_no_sign_of_life(tmp_path):
    """The process began at another time than the lock's owner."""
    hold(tmp_path, pid=os.getpid(), started=1)
    with FolderLock(tmp_path):
        assert owner_of(tmp_path)["token"] != "theirs"


def beating(owner: Path, times: int, when: float = 0.0) -> threading.Thread:
    """An owner elsewhere that gives signs of life, by a clock of its own."""

    def beat() -> None:
        for number in range(times):
            time.sleep(0.03)
            os.utime(owner, (when + number, when + number))

    thread = threading.Thread(target=beat)
    thread.start()
    return thread


def test_force_takes_no_lock_from_a_living_run_of_this_machine(tmp_path):
    hold(tmp_path, pid=os.getppid(), started=None)
    with pytest.raises(FolderInUse, match=f"run {os.getppid()} on "), FolderLock(tmp_path, force=True):
        pass
    assert owner_of(tmp_path)["token"] == "theirs"


@pytest.mark.parametrize("clock", [-900, 0, 900])
def test_force_takes_no_lock_from_a_living_run_elsewhere_whatever_its_clock(tmp_path, clock):
    """One that moves its file while it is watched is alive, though the times it writes may be hours off."""
    owner = hold(tmp_path, host="elsewhere")
    thread = beating(owner, 20, time.time() + clock)
    with pytest.raises(FolderInUse, match="gives signs of life"), FolderLock(tmp_path, force=True):
        pass
    thread.join()
    assert owner_of(tmp_path)["token"] == "theirs"


@pytest.mark.parametrize("age", [3600, -3600])
def test_force_takes_the_lock_of_a_run_elsewhere_that_gives_no_sign_of_life(tmp_path, age):
    hold(tmp_path, age=age, host="elsewhere")
    begun = time.monotonic()
    with FolderLock(tmp_path, force=True):
        assert owner_of(tmp_path)["token"] != "theirs" and time.monotonic() - begun > 0.3


def test_without_force_a_lock_of_another_machine_is_refused_at_once(tmp_path):
    hold(tmp_path, age=3600, host="elsewhere")
    with (
        pytest.raises(FolderInUse, match=r"60 minutes old by this machine's clock.*--force-unlock"),
        FolderLock(tmp_path),
    ):
        pass


def test_a_machine_of_the_same_name_is_another_machine(tmp_path):
    """Its numbers of processes mean nothing here: hosts called localhost share a network disk."""
    hold(tmp_path, pid=2**22 + 1, machine="another", boot="another")
    with pytest.raises(FolderInUse, match=f"on {socket.gethostname()}"), FolderLock(tmp_path):
        pass


def test_a_lock_from_before_this_machine_was_started_anew_is_nobodys(tmp_path, monkeypatch):
    told = {
        "/etc/machine-id": "this machine",
        "/proc/uptime": "100.5 20",
        "/proc/sys/kernel/random/boot_id": "this start",
    }
    monkeypatch.setattr(owners, "_text", told.get)
    hold(tmp_path, boot="an earlier start", age=120)
    with FolderLock(tmp_path):
        assert owner_of(tmp_path)["token"] != "theirs"


@pytest.mark.parametrize(("age", "up"), [(90, "100.5 20"), (20, "10 2"), (1e6, ""), (1e6, "x")])
def test_a_host_with_the_same_name_and_machine_id_is_not_this_machine_restarted(tmp_path, monkeypatch, age, up):
    """As hosts are whose containers are of one image: the owner has given signs of life since this machine was started."""
    told = {"/etc/machine-id": "this machine", "/proc/uptime": up, "/proc/sys/kernel/random/boot_id": "this start"}
    monkeypatch.setattr(owners, "_text", told.get)
    hold(tmp_path, boot="of another host", age=age)
    with pytest.raises(FolderInUse, match="is dead, pass --force-unlock"), FolderLock(tmp_path):
        pass


@pytest.mark.parametrize("spoil", ["removed", "emptied", "damaged"])
def test_a_lock_that_somebody_deleted_or_damaged_is_put_back_by_its_owner(tmp_path, spoil):
    with FolderLock(tmp_path) as lock:
        token = owner_of(tmp_path)["token"]
        (tmp_path / ".lock" / "owner.json").unlink()
        if spoil == "removed":
            (tmp_path / ".lock").rmdir()
        elif spoil == "damaged":
            (tmp_path / ".lock" / "owner.json").write_text("{half")
        assert not lock.held() and lock.kept() and owner_of(tmp_path)["token"] == token
    assert not any(tmp_path.iterdir())


def test_a_lock_that_another_run_has_taken_is_left_to_it(tmp_path):
    with FolderLock(tmp_path) as lock:
        (tmp_path / ".lock").rename(tmp_path / "aside")
        hold(tmp_path)
        assert not lock.kept()
    assert owner_of(tmp_path)["token"] == "theirs"


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_clock_that_jumps_takes_no_lock_from_the_living(tmp_path, hours):
    """Neither of a process of this machine, nor of one elsewhere that gives signs of life."""
    owner = hold(tmp_path, age=3600 * hours)
    with pytest.raises(FolderInUse), FolderLock(tmp_path, force=True):
        pass
    owner.write_text(json.dumps({**json.loads(owner.read_text()), "host": "elsewhere"}))
    thread = beating(owner, 30, when=time.time() - 3600 * hours)
    with pytest.raises(FolderInUse, match="gives signs of life"), FolderLock(tmp_path, force=True):
        pass
    thread.join()


def test_a_container_of_the_same_name_is_another_machine(tmp_path):
    """Its numbers of processes mean nothing here."""
    hold(tmp_path, pid=2**22 + 1, namespace="pid:[1]")
    with pytest.raises(FolderInUse, match=f"on {socket.gethostname()}"), FolderLock(tmp_path):
        pass


@pytest.mark.parametrize("text", ["", "{half", "[]", '{"host": 3}', '{"pid": 99999999999999999999}'])
def test_a_lock_whose_owners_name_is_damaged_is_taken_when_told_to_or_after_a_while(tmp_path, monkeypatch, text):
    monkeypatch.setattr(locks, "STALE_SECONDS", 0.3)
    owner = hold(tmp_path)
    owner.write_text(text)
    with pytest.raises(FolderInUse, match="has been training here"), FolderLock(tmp_path):
        pass
    with FolderLock(tmp_path, force=True):
        assert owner_of(tmp_path)["pid"] == os.getpid()
    hold(tmp_path).write_text(text)
    with FolderLock(tmp_path, wait=print):
        assert owner_of(tmp_path)["pid"] == os.getpid()


def test_an_empty_lock_is_nobodys(tmp_path):
    (tmp_path / ".lock").mkdir()
    with FolderLock(tmp_path):
        assert owner_of(tmp_path)["pid"] == os.getpid()


def test_a_disk_too_full_for_the_owners_name_leaves_no_lock(tmp_path):
    resource.setrlimit(resource.RLIMIT_FSIZE, (5, resource.RLIM_INFINITY))
    try:
        with pytest.raises(OSError, match=r"File too large.*owner\.json"), FolderLock(tmp_path / "new"):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert not (tmp_path / "new").exists()


def test_who_waits_survives_that_the_one_before_gives_up_a_new_folder(tmp_path):
    """A first prepare fails, and takes the empty folder away again."""
    inside = threading.Event()

    def wait() -> None:
        with FolderLock(tmp_path / "new", wait=lambda text: None):
            inside.set()

    with FolderLock(tmp_path / "new"):
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.05)
    assert inside.wait(5)
    thread.join()


def test_waiting_says_for_whom_and_ends_when_the_lock_is_released(tmp_path):
    said: list[str] = []
    entered = threading.Event()

    def wait() -> None:
        with FolderLock(tmp_path, work="at stage 1 prepare", wait=said.append):
            entered.set()

    with FolderLock(tmp_path, work="at stage 1 prepare"):
        thread = threading.Thread(target=wait)
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(5)
    thread.join()
    assert len(said) == 1 and f"waiting for run {os.getpid()} on " in said[0] and "at stage 1 prepare here" in said[0]
    assert not (tmp_path / ".lock").exists()


def test_waiting_ends_when_an_owner_elsewhere_gives_no_sign_of_life(tmp_path, monkeypatch):
    """By this machine's clock alone; one that does is waited for."""
    monkeypatch.setattr(locks, "STALE_SECONDS", 0.3)
    owner = hold(tmp_path, host="elsewhere", age=-9999)
    begun = time.monotonic()
    thread = beating(owner, 20)
    with FolderLock(tmp_path, wait=lambda text: None):
        waited = time.monotonic() - begun
    thread.join()
    assert waited > 0.6, "it beat for 0.6 s"


@pytest.mark.processes
def test_two_that_find_a_dead_owner_do_not_both_get_the_lock(tmp_path):
    """Many processes that begin together: one at a time is inside."""
    folder = tmp_path / "folder"
    folder.mkdir()
    dead = subprocess.Popen(["true"])
    dead.wait()
    hold(folder, pid=dead.pid, started=None)
    code = (
        "import sys, os, time\nfrom pathlib import Path\nfrom gansemble.stages import locks\nlocks.POLL_SECONDS = 0.002\n"
        "folder = Path(sys.argv[1])\n"
        "(folder.parent / f'ready-{os.getpid()}').touch()\n"
        "while not (folder.parent / 'go').exists():\n    time.sleep(0.001)\n"
        "for _ in range(5):\n"
        "    with locks.FolderLock(folder, wait=lambda text: None):\n"
        "        (folder / 'inside').mkdir()\n        time.sleep(0.001)\n        (folder / 'inside').rmdir()\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(folder)], stderr=subprocess.PIPE) for _ in range(8)]
    while len(list(tmp_path.glob("ready-*"))) < 8:
        time.sleep(0.01)
    (tmp_path / "go").touch()
    errors = [child.communicate(timeout=120)[1].decode() for child in running]
    assert [child.returncode for child in running] == [0] * 8, errors
    assert not list(folder.iterdir())


def test_a_link_that_leads_nowhere_in_the_locks_place_is_named(tmp_path):
    (tmp_path / ".lock").symlink_to(tmp_path / "nowhere")
    with (
        pytest.raises(FolderInUse, match="something else stands where the lock belongs"),
        FolderLock(tmp_path, wait=print),
    ):
        pass


def test_the_owner_gives_signs_of_life_and_the_thread_ends_with_the_lock(tmp_path):
    with FolderLock(tmp_path):
        file = tmp_path / ".lock" / "owner.json"
        os.utime(file, (1, 1))
        limit = time.monotonic() + 5
        while file.stat().st_mtime < 100:
            assert time.monotonic() < limit
            time.sleep(0.01)
        assert any(thread.name.startswith("beat") for thread in threading.enumerate())
    assert not any(thread.name.startswith("beat") for thread in threading.enumerate())


def test_a_lock_taken_from_us_is_not_removed_by_us(tmp_path):
    lock = FolderLock(tmp_path)
    with lock:
        assert lock.held()
        (tmp_path / ".lock" / "owner.json").write_text(json.dumps({"token": "theirs", "host": "elsewhere", "pid": 1}))
        assert not lock.held()
    assert owner_of(tmp_path)["token"] == "theirs"


def test_a_folder_made_for_the_lock_alone_goes_with_it(tmp_path):
    with FolderLock(tmp_path / "new"):
        pass
    assert not (tmp_path / "new").exists()
    with FolderLock(tmp_path / "new"):
        (tmp_path / "new" / "result").touch()
    assert (tmp_path / "new" / "result").exists()
