"""Metrics that crash, hang, raise or say nothing when the first sample of the estimate says so: a plugin of one file."""

import math
import os
import signal
import time
from pathlib import Path

import numpy as np

from gansemble import hookimpl
from gansemble.interfaces import Score

#: What the first sample of an estimate makes the metric do.
SEGFAULT, HANG, RAISE, KILLED, EXIT, ONCE = 0.11, 0.12, 0.13, 0.14, 0.15, 0.16


class Awkward:
    """The mean absolute difference, unless the first sample says otherwise."""

    better = "lower"
    definition = "mean absolute difference, unless the first sample says otherwise"

    def score(self, estimate, reference, sample_rate):
        order = round(float(estimate[0]), 2) if len(estimate) else 0
        if order == SEGFAULT:
            os.kill(os.getpid(), signal.SIGSEGV)
        if order == HANG:
            time.sleep(3600)
        if order == RAISE:
            raise RuntimeError("this metric fails of this clip")
        if order == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        if order == EXIT:
            os._exit(3)
        if order == ONCE:
            mark = Path(os.environ["AWKWARD_MARK"])
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return {"awkward": Score(float(np.abs(estimate - reference).mean()))}


class Level:
    """The level of the estimate, which needs no reference."""

    better = "higher"
    needs_reference = False
    definition = "root mean square of the estimate"

    def score(self, estimate, reference, sample_rate):
        level = float(np.sqrt(np.mean(np.square(estimate))))
        return {"level": Score(level) if level else Score(math.nan, "silent")}


class Spread:
    """A metric of sets: the difference of the mean levels, and the number of clips in its definition."""

    better = "lower"
    keys = ("spread",)
    definition = "difference of mean levels"

    def score_set(self, estimates, references, sample_rate, labels):
        self.definition = f"difference of mean levels, {len(estimates)} clips"
        levels = [np.mean([float(np.abs(clip).mean()) for clip in clips]) for clips in (estimates, references)]
        return {"spread": Score(abs(float(levels[0] - levels[1])))}


class Unbuildable:
    """Cannot be built."""

    better = "lower"
    definition = "none"

    def __init__(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    def score(self, estimate, reference, sample_rate):
        return {}


@hookimpl
def gansemble_register(register):
    for name, target in (("awkward", Awkward), ("level", Level), ("spread", Spread), ("unbuildable", Unbuildable)):
        register("metric", name, f"{__name__}:{target.__name__}", "for tests", example={})
