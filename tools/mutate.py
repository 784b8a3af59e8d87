"""Which small mistakes the tests would notice: mutates a copy of the tree, one place at a time, and runs the tests near it.

    python tools/mutate.py --count 20 --rooms training data

A mutant that no test notices is shown as a diff: either a fact that no test states, or a change that makes no difference.
The places are drawn from a seed, which is printed and repeats them. The working tree is left alone.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import json
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutants import Mutant, mutants_of
from nearest_tests import ROOMS, TestMap
from warm_pytest import END

ROOT = Path(__file__).parents[1]
#: Tests that start processes of their own or run whole recipes are left out: they take minutes.
QUICK, THOROUGH = (
    "not (slow or kill or processes or end_to_end)",
    "not (kill or processes or end_to_end)",
)
FAILED = re.compile(r"^(?:FAILED|ERROR) (tests/.+?)(?: - .*)?$", re.MULTILINE)


class Copy:
    """A copy of the tree's files, those that git knows or would add, in which mutants are tried.

    Args:
        folder: where the copy goes.
        stall: a run is given up when no test ends for so long [s]: the mutant never ends, or the machine is busy.
        total: a run is given up after so long [s].
    """

    def __init__(self, folder: Path, stall: float, total: float) -> None:
        self.folder, self.stall, self.total = folder, stall, total
        self._sound: dict[str, bool] = {}
        self._warm: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        listed = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0"):
            if name and (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        paths = [str(folder / name) for name in ("toolkit", "plugins")]
        settings = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
        self.environment = os.environ | settings
        found = subprocess.run(
            [sys.executable, "-c", "import gansemble; print(gansemble.__file__)"],
            env=self.environment, cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
        if not found.stdout.startswith(str(folder)):
            raise SystemExit(
                f"{folder}: expected gansemble to be imported from this copy, got {found.stdout}{found.stderr}"
            )

    def judge(self, mutant: Mutant, nearest: list[str], around: list[str]) -> str:
        """``killed by TEST``, ``killed: …``, ``survived``, ``untested``, ``timed out: …`` or ``unfinished``."""
        path = self.folder / mutant.path
        whole = path.read_bytes()
        path.write_bytes(mutant.changed(whole))
        try:
            word = self._run([*nearest, "-m", QUICK])
            if word in ("survived", "untested"):
                word = self._run([*nearest, *(name for name in around if name not in nearest), "-m", THOROUGH])
        finally:
            path.write_bytes(whole)
        test = word.partition("killed by ")[2]
        if test and not self._passes(test):
            raise RuntimeError(f"{test} fails without any change: mend it first, or nothing can be said of mutants")
        return word

    def _passes(self, test: str) -> bool:
        """Whether a test passes in the tree as it is."""
        if test not in self._sound:
            self._sound[test] = self._run([test]) == "survived"
        return self._sound[test]

    def _run(self, arguments: list[str]) -> str:
        """Runs tests up to the first that fails, in a process group of their own, and says how they ended."""
        if self._warm is None or self._warm.poll() is not None:
            self._start()
        assert self._warm is not None and self._warm.stdin is not None
        options = ["-o", "addopts=--strict-markers", "-x", "-v", "-rfE", "-p", "no:cacheprovider"]
        self._warm.stdin.write(json.dumps([*options, *arguments]) + "\n")
        self._warm.stdin.flush()
        output, begun, group = [], time.monotonic(), None
        try:
            while (line := self._lines.get(timeout=self.stall)) is not None:
                if line.startswith(f"{END} begun "):
                    group = int(line.split()[-1])
                elif line.startswith(END):
                    return _word(int(line.split()[-1]), "".join(output))
                output.append(line)
                if time.monotonic() - begun > self.total:
                    self.close(group)
                    return "unfinished"
        except queue.Empty:
            self.close(group)
            return f"timed out: no test ended for {self.stall:g} s"
        self.close(group)
        return "killed: pytest ended without a word"

    def _start(self) -> None:
        self._warm = subprocess.Popen(
            [sys.executable, str(ROOT / "tools" / "warm_pytest.py")], cwd=self.folder, env=self.environment, text=True,
            start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._lines = queue.Queue()
        threading.Thread(target=_follow, args=(self._warm, self._lines), daemon=True).start()

    def close(self, group: int | None = None) -> None:
        """Ends the process that tests run in, and those that a run of tests has started."""
        if self._warm is None:
            return
        for each in (group, self._warm.pid):
            with contextlib.suppress(ProcessLookupError, TypeError):
                os.killpg(each, signal.SIGKILL)  # type: ignore[arg-type]
        self._warm.wait()
        self._warm = None


def _word(code: int, output: str) -> str:
    if code in (0, 5):
        return "survived" if code == 0 else "untested"
    failed = FAILED.search(output)
    return f"killed: pytest ended with {code}" if failed is None else f"killed by {failed[1]}"


def _follow(child: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    """Puts what a process prints into a queue, and None at its end."""
    assert child.stdout is not None
    for line in child.stdout:
        lines.put(line)
    lines.put(None)


def drawn(rooms: list[str], count: int, seed: int) -> list[Mutant]:
    """So many of all mutants of the rooms, each as likely as another."""
    found = [
        mutant
        for room in rooms
        for path in sorted((ROOT / ROOMS[room][0]).rglob("*.py"))
        for mutant in mutants_of(path.relative_to(ROOT).as_posix(), path.read_bytes())
    ]
    print(
        f"{len(found)} mutants in {', '.join(rooms)}; {min(count, len(found))} of them with --seed {seed}", flush=True
    )
    return random.Random(seed).sample(found, min(count, len(found)))


def difference(mutant: Mutant) -> str:
    """The mutant as a unified diff."""
    whole = (ROOT / mutant.path).read_bytes()
    texts = [each.decode().splitlines() for each in (whole, mutant.changed(whole))]
    return "\n".join(difflib.unified_diff(*texts, mutant.path, mutant.path, n=2, lineterm=""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--seed", type=int, default=time.time_ns() % 100_000, help="of the places; the time when left out"
    )
    parser.add_argument("--count", type=int, default=10, help="how many mutants to try")
    parser.add_argument(
        "--rooms", nargs="+", choices=list(ROOMS), default=list(ROOMS), metavar="ROOM", help=", ".join(ROOMS)
    )
    parser.add_argument("--list", action="store_true", help="show the mutants and their tests, and run nothing")
    parser.add_argument(
        "--stall", type=float, default=300, help="a mutant is given up when no test ends for so long [s]"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="how many at a time, each in a copy and a process of its own"
    )
    parser.add_argument("--total", type=float, default=900, help="a mutant is given up after so long [s]")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the tests under way are ended, too
    chosen, tests = drawn(given.rooms, given.count, given.seed), TestMap(ROOT)
    if given.list:
        for mutant in chosen:
            print(f"{mutant}\n    {' '.join(tests.nearest(mutant.path))}")
        return
    words: dict[Mutant, str] = {}
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = [Copy(Path(folder) / str(job), given.stall, given.total) for job in range(given.jobs)]
        todo = iter(chosen)
        taking = threading.Lock()

        def work(copy: Copy) -> None:
            while True:
                with taking:
                    mutant = next(todo, None)
                if mutant is None:
                    return
                begun = time.monotonic()
                words[mutant] = copy.judge(mutant, tests.nearest(mutant.path), tests.around(mutant.path))
                print(f"{time.monotonic() - begun:6.1f} s  {mutant}: {words[mutant]}", flush=True)

        with ThreadPoolExecutor(given.jobs) as pool:
            try:
                for each in [pool.submit(work, copy) for copy in copies]:
                    each.result()
            finally:  # also when told to end: the tests under way are ended, and no other mutant is begun
                todo = iter(())
                for copy in copies:
                    copy.close()
    left = [mutant for mutant, word in words.items() if not word.startswith("killed")]
    for mutant in left:
        print(f"\n{words[mutant]}: {mutant}\n{difference(mutant)}")
    print(f"\n{len(words) - len(left)} of {len(words)} killed; again: --seed {given.seed} --count {given.count}")


if __name__ == "__main__":
    main()
