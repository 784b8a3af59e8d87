"""Any id is a name for a file: short enough, printable, never that of another id."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from gansemble.data.clip_names import LONGEST, ClipNames, demand_room, file_name, folded
from gansemble.errors import GansembleError


@pytest.mark.parametrize("identity", ["a", "LJ001-0001", "café ~x@seen", "語" * 36, "x" * LONGEST])
def test_an_id_that_can_be_a_name_is_its_own(identity):
    assert ClipNames().of(identity) == identity


@pytest.mark.parametrize(
    "identity",
    ["x" * (LONGEST + 1), "語" * 100, "a/b", "../../up", ".hidden", "", " ", "a ", "a.", "a\n", "a\0b", "a\u2028b", "a:b",
     "caf\udce9", "..", "\u202egnp"],
)  # fmt: skip
def test_one_that_cannot_gets_a_hash_and_can_be_written(tmp_path: Path, identity):
    name = file_name(identity)
    assert name != identity and len(name.encode()) <= LONGEST and Path(name).name == name and name.isprintable()
    (tmp_path / f"{name}.wav").touch()
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.wav"]


def test_no_two_ids_get_one_name_and_the_same_ids_get_the_same():
    seed = int(os.environ.get("GANSEMBLE_SEED", random.randrange(10**6)))
    print(f"GANSEMBLE_SEED={seed}")
    draw = random.Random(seed)
    letters = ["a", "A", "é", "e\u0301", "/", "ß", "ss", "\udce9", " ", ".", "\n", "語", "I", "ı", "-"]
    ids = ["".join(draw.choices(letters, k=draw.choice([1, 2, 3, 80, 300]))) for _ in range(2000)]
    names, again = ClipNames(), ClipNames()
    made = {identity: names.of(identity) for identity in ids}
    assert len({folded(name) for name in made.values()}) == len(made)
    assert [again.of(identity) for identity in made] == [names.of(identity) for identity in made]
    ids = ["Clip", "clip", "CLIP"]
    assert ClipNames().of("Clip") == "Clip" and len({folded(ClipNames.of(names, each)) for each in ids}) == 3


def test_a_name_that_looks_like_anothers_hash_is_told_apart():
    names, long = ClipNames(), "y" * 300
    assert names.of(file_name(long)) == file_name(long)
    assert folded(names.of(long)) != folded(names.of(file_name(long)))


def test_an_experiment_that_lies_too_deep_is_told_before_anything_is_made(tmp_path: Path):
    demand_room(tmp_path / "exp")
    deep = tmp_path.joinpath(*["d" * 200] * 19)
    with pytest.raises(
        GansembleError, match=r"its path has \d+ bytes; .* takes 4096 in all\. Give an --exp with a shorter"
    ):
        demand_room(deep)
