"""What is typed to go on: the words that were given, quoted, from the stage on."""

import shlex

import pytest

from gansemble.stages import BY_NAME
from gansemble.stages.last_words import KILLED, UNREAD, continuation, ending, keeps_force, what_now

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


@pytest.mark.parametrize("status", [75, UNREAD, 130, 143, 129])
def test_after_an_interruption_the_command_goes_on(status):
    assert what_now(status, "gansemble run x", recipe_is_wrong=False) == "Continue with: gansemble run x"


def test_after_an_error_its_cause_is_to_be_mended_first():
    """The command alone would fail again, and with a wrong recipe it may hold the fault itself."""
    assert what_now(1, "gansemble run x", recipe_is_wrong=False) == (
        "The same would fail again: mend what the error above says first. Then continue with: gansemble run x"
    )
    wrong = what_now(1, "gansemble run x --set a=b", recipe_is_wrong=True)
    assert wrong.startswith("Mend the recipe") and "a=b" not in wrong
    killed = what_now(KILLED, "gansemble run x", recipe_is_wrong=False)
    assert "memory was full" in killed and killed.endswith("Then continue with: gansemble run x")
