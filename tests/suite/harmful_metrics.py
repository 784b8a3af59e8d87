"""Metrics that would harm the scores of others, or the run, if nobody held them apart: a plugin of one file."""

import logging
import math
import os
import re
import sys
import time

import numpy as np

from gansemble import hookimpl
from gansemble.interfaces import Score


def _is_asked_for_names(estimate):
    """Whether this is the silence that is scored first, for the names of the scores."""
    return not estimate.any()


class InPlace:
    better, definition = "lower", "changes both signals"

    def score(self, estimate, reference, sample_rate):
        estimate[:], reference[:] = 0, 1
        return {"in_place": Score(1.0)}


class Goes:
    better, definition = "lower", "goes to another folder"

    def score(self, estimate, reference, sample_rate):
        os.chdir("/")
        return {"goes": Score(1.0)}


class Drawn:
    better, definition = "lower", "a number of the global generator"

    def score(self, estimate, reference, sample_rate):
        return {"drawn": Score(float(np.random.rand()))}


class Infinite:
    better, definition = "lower", "infinity"

    def score(self, estimate, reference, sample_rate):
        return {"infinite": Score(math.inf)}


class Renames:
    better, definition = "lower", "other names than at the start"

    def score(self, estimate, reference, sample_rate):
        return {"renames" if _is_asked_for_names(estimate) else "renamed": Score(1.0)}


class Forks:
    better, definition = "lower", "the number of the process is not that of its copy"

    def score(self, estimate, reference, sample_rate):
        if not _is_asked_for_names(estimate):
            child = os.fork()
            if not child:
                return {"forks": Score(2.0)}  # the copy goes on as if it were the process that scores
            os.waitpid(child, 0)
        return {"forks": Score(1.0)}


class LeavesAChild:
    better, definition = "lower", "ends while a copy of its process lives on"

    def score(self, estimate, reference, sample_rate):
        if not _is_asked_for_names(estimate):
            if not os.fork():
                time.sleep(600)
            sys.stderr.write("x" * 2_000_000)
            os._exit(4)
        return {"leaves_a_child": Score(1.0)}


class Talks:
    better, definition = "lower", "warns a hundred times, of which once wrongly"

    def score(self, estimate, reference, sample_rate):
        print("no answer of the command" * 10_000)
        logging.warning("%d", "no number")
        for number in range(100):
            logging.warning("warning %d of %s", number, estimate.sum())
        return {"talks": Score(1.0)}


class HangsInC:
    better, definition = "lower", "holds the interpreter for ever, so that no other thread of its process runs"

    def score(self, estimate, reference, sample_rate):
        if not _is_asked_for_names(estimate):
            re.match(r"(a+)+$", "a" * 60 + "b")
        return {"hangs_in_c": Score(1.0)}


class FailsOfSilence:
    better, definition = "lower", "raises where there is silence"

    def score(self, estimate, reference, sample_rate):
        raise ValueError("no level")


class SetWithObjects:
    better, definition, keys = "lower", "tells what is no JSON", ("set_with_objects",)

    def score_set(self, estimates, references, sample_rate, labels):
        self.details = {"set_with_objects": {"array": np.arange(2), "bound": np.float32("nan"), "type": set}}
        return {"set_with_objects": Score(2.0)}

    def intervals(self, estimates, references, sample_rate, labels, confidence=0.95):
        return {"set_with_objects": (1.0, math.inf)}


PARTS = {
    "in_place": InPlace,
    "goes": Goes,
    "drawn": Drawn,
    "infinite": Infinite,
    "renames": Renames,
    "forks": Forks,
    "leaves_a_child": LeavesAChild,
    "talks": Talks,
    "hangs_in_c": HangsInC,
    "fails_of_silence": FailsOfSilence,
    "set_with_objects": SetWithObjects,
}


@hookimpl
def gansemble_register(register):
    for name, target in PARTS.items():
        register("metric", name, f"{__name__}:{target.__name__}", "for tests", example={})
