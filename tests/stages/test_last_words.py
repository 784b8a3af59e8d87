"""What is typed to go on: the words that were given, quoted, from the stage on."""

import shlex

import pytest

from gansemble.stages import BY_NAME
from gansemble.stages.last_words import continuation, ending, keeps_force

TRAIN, REPORT = BY_NAME["train"], BY_NAME["report"]


def test_the_words_are_quoted_and_the_stage_is_replaced():
    given = ["--stage", "1", "--set", "name=a b", "--stage=2", "--force-unlock", "--exp", "it's", "--force"]
    line = continuation(["/a b/run.sh"], given, TRAIN, force=True)
    assert shlex.split(line) == ["/a b/run.sh", "--set", "name=a b", "--exp", "it's", "--force", "--stage", "3"]
    assert "--force" not in continuation(["gansemble", "run"], given, TRAIN, force=False)


@pytest.mark.parametrize(
    ("status", "said"),
    [(75, "state saved"), (130, "was interrupted"), (143, "was interrupted"), (137, "failed (exit 137)")],
)
def test_a_stage_that_was_asked_to_end_has_not_failed(status, said):
    assert said in ending(TRAIN, status)


def test_force_is_kept_where_it_undoes_nothing():
    assert keeps_force(REPORT, 75, [], ["step-1"]) and keeps_force(TRAIN, 1, ["step-1"], ["step-1"])
    assert not keeps_force(TRAIN, 75, ["step-1"], ["step-1"]) and not keeps_force(TRAIN, 1, [], ["step-1"])
