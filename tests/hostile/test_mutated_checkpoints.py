"""Files of an experiment and of published weights that were altered: a right result, or an error that names the file.

``GANSEMBLE_SEED=…`` repeats what was drawn; it is printed.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from gansemble import cli
from gansemble.errors import GansembleError
from gansemble.files import sha256
from gansemble.parts.build import generator
from gansemble.recipe import check, fill
from gansemble.training import checkpoint

SEED = int(os.environ.get("GANSEMBLE_SEED", random.randrange(10**6)))
RECIPE = """
name: tiny
audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}
corpus: {use: folder}
generator: {use: vocos, dim: 4, hidden: 4, blocks: 1}
losses: {mel: {use: mel_l1}}
metrics: {mel_distance: {use: mel_distance}}
plan: {steps: 9, batch_size: 2, segment: 1024}
optimisers: {generator: {use: adamw}}
"""
#: What is done to bytes; each gets them and the draws.
Change = Callable[[bytes, random.Random], bytes]
VALUES = [None, True, -1, 0, 1e400, float("nan"), 10**30, "", "x", "../../x", "\ud800", [], {}, [[]], {"a": []}]


def flipped(data: bytes, draw: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(draw.choice([1, 1, 3, 30])):
        if made:
            made[draw.randrange(len(made))] = draw.randrange(256)
    return bytes(made)


def one_value(data: bytes, draw: random.Random) -> bytes:
    """JSON in which one value is another; other files are cut."""
    try:
        found = json.loads(data)
    except ValueError:
        return data[: draw.randrange(len(data) + 1)]
    places: list[tuple[dict | list, object]] = []

    def walk(value: object) -> None:
        pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in pairs:
            places.append((value, key))  # type: ignore[arg-type]
            walk(inner)

    walk(found)
    if not places:
        return json.dumps(draw.choice(VALUES)).encode()
    inside, key = draw.choice(places)
    if draw.random() < 0.3:
        del inside[key]  # type: ignore[arg-type]
    else:
        inside[key] = draw.choice(VALUES)  # type: ignore[index]
    return json.dumps(found).encode()


CHANGES: dict[str, Change] = {
    "cut": lambda data, draw: data[: draw.randrange(len(data) + 1)],
    "emptied": lambda data, draw: b"",
    "flipped": flipped,
    "zeros": lambda data, draw: bytes(len(data)),
    "noise": lambda data, draw: draw.randbytes(draw.choice([1, 10, 1000])),
    "other value": one_value,
    "nested": lambda data, draw: b"[" * 50_000,
    "twice": lambda data, draw: data * 2,
    "other text": lambda data, draw: draw.choice([b"null", b"[]", b"{}", b"3", b'"x"', b"\xff\xfe{\x00}\x00"]),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an experiment, what it made of a file, and published weights."""
    folder = tmp_path_factory.mktemp("sound")
    exp = folder / "exp"
    exp.mkdir()
    (exp / "recipe.yaml").write_text(RECIPE)
    recipe = check.load(exp / "recipe.yaml")
    store = checkpoint.Store(exp / "checkpoints")
    made = store.begin(2)
    checkpoint.save_network(made / "generator.safetensors", generator(recipe).state_dict())
    torch.save({"counters": {}, "parts": {}, "adaptation": {}}, made / "state.pt")
    (made / "recipe.yaml").write_text(fill.dump(fill.fill(recipe)))
    facts = {"best": {"step-00000002": 0.5}, "data": [], "classes": [], "name": "tiny"}
    store.commit(made, 2, {**facts, "audio": recipe.audio.as_dict()}, set())
    np.save(folder / "a.npy", np.full((20, 20), -5, np.float32))
    assert synthesised(folder).exit_code == 0
    published(folder)
    return folder


def synthesised(folder: Path, *more: str):
    words = [
        "synthesise",
        "--exp",
        str(folder / "exp"),
        "--input",
        str(folder / "a.npy"),
        "--output",
        str(folder / "out"),
    ]
    return CliRunner().invoke(cli.group, [*words, *more])


def published(folder: Path) -> None:
    """Weights in the two formats that are imported, small."""
    weights = folder / "wavegan"
    weights.mkdir()
    arrays = {"G/z_project/dense/kernel": (4, 256 * 2), "G/z_project/dense/bias": (512,)}
    for index, (reads, makes) in enumerate(((32, 16), (16, 8), (8, 4), (4, 2), (2, 1))):
        arrays[f"G/upconv_{index}/conv2d_transpose/kernel"] = (1, 25, makes, reads)
        arrays[f"G/upconv_{index}/conv2d_transpose/bias"] = (makes,)
    manifest = {}
    for number, (name, shape) in enumerate(arrays.items()):
        np.full(shape, 0.01, "<f4").tofile(weights / f"{number}.raw")
        manifest[name] = {"filename": f"{number}.raw", "shape": list(shape)}
    (weights / "manifest.json").write_text(json.dumps(manifest))


def check_result(done, names: list[str], begun: float, case: str) -> None:
    """A success, or one of our errors that names a file; quickly."""
    assert time.monotonic() - begun < 5, f"{case}: took {time.monotonic() - begun:.1f} s"
    if done.exception is None or (isinstance(done.exception, SystemExit) and done.exit_code == 0):
        return
    assert isinstance(done.exception, GansembleError), f"{case}: {done.exc_info[1]!r}\n{done.output}"
    said = done.output + str(done.exception)
    assert any(name in said for name in names), f"{case}: {said}"


def cases(count: int) -> list[int]:
    return [SEED * 1000 + number for number in range(count)]


QUICK = [pytest.param(seed, id=f"{number}") for number, seed in enumerate(cases(10))]
LONG = [pytest.param(seed, id=f"long{number}", marks=pytest.mark.slow) for number, seed in enumerate(cases(135)[10:])]


@pytest.mark.parametrize("seed", [*QUICK, *LONG])
def test_an_altered_experiment_is_used_rightly_or_refused_by_the_name_of_the_file(sound, tmp_path, seed):
    """Of its hash the manifest knows nothing, or a new one: as if somebody had edited it with care."""
    print(f"GANSEMBLE_SEED={SEED}")
    draw = random.Random(seed)
    folder = tmp_path / "work"
    shutil.copytree(sound, folder)
    place = next((folder / "exp" / "checkpoints").iterdir())
    path = draw.choice([*place.iterdir(), folder / "out" / "synthesis.json", folder / "exp" / "recipe.yaml"])
    name, change = draw.choice(list(CHANGES.items()))
    if path.suffix == ".yaml" and name in ("nested", "other value"):  # hostile YAML is tried elsewhere
        name, change = "cut", CHANGES["cut"]
    path.write_bytes(change(path.read_bytes(), draw))
    signed = path.parent == place and path.name != "manifest.json" and draw.random() < 0.8
    if signed:
        manifest = json.loads((place / "manifest.json").read_text())
        manifest["files"][path.name] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
        (place / "manifest.json").write_text(json.dumps(manifest))
    before = (folder / "out" / "a.wav").read_bytes()
    begun, more = time.monotonic(), draw.choice([(), ("--overwrite",), ("--checkpoint", "last")])
    done = synthesised(folder, *more)
    check_result(done, [path.name, "checkpoints", "a.npy", "a.wav"], begun, f"{path.name} {name} {signed} {more}")
    made = (folder / "out" / "a.wav").read_bytes()
    if "--overwrite" not in more:
        assert made == before, f"{path.name} {name}: replaced unasked"
    elif path.suffix != ".safetensors" and done.exit_code == 0 and "recipe" not in path.name:
        assert made == before, f"{path.name} {name}: another result without a word"


@pytest.mark.parametrize("seed", [*QUICK, *LONG])
def test_altered_published_weights_are_imported_rightly_or_leave_nothing(sound, tmp_path, seed):
    print(f"GANSEMBLE_SEED={SEED}")
    draw = random.Random(seed + 7)
    folder = tmp_path / "weights"
    shutil.copytree(sound / "wavegan", folder)
    path = draw.choice([folder / "manifest.json"] * 6 + sorted(folder.glob("*.raw")))
    name, change = draw.choice(list(CHANGES.items()))
    path.write_bytes(change(path.read_bytes(), draw))
    begun = time.monotonic()
    done = CliRunner().invoke(
        cli.group, ["import", "wavegan", "--weights", str(folder), "--exp", str(tmp_path / "exp")]
    )
    check_result(done, [str(folder), path.name], begun, f"{path.name} {name}")
    assert (tmp_path / "exp").exists() == (done.exit_code == 0), f"{path.name} {name}: {done.output}"
    assert sorted(each.name for each in tmp_path.iterdir() if re.match(r"\.", each.name)) == []
    if done.exit_code == 0:
        from gansemble.inference import loading

        state = loading.load(tmp_path / "exp", device="cpu").generator.state_dict()
        assert all(bool(torch.isfinite(tensor).all()) for tensor in state.values())
