"""Commands over many files: one file's fault is its own, what is there is never replaced unasked, an end can be gone on from."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from gansemble import cli
from gansemble.errors import GansembleError, Interrupted
from gansemble.inference import vocoding
from gansemble.parts.build import generator
from gansemble.recipe import check, fill
from gansemble.training import checkpoint

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


class Result:
    """Exit code, and what was printed, of a command as the shell sees it."""

    def __init__(self, code: int, said: str) -> None:
        self.code, self.said = code, said


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    def command(*words: object) -> Result:
        code = 0
        try:
            cli.main([os.fspath(word) if isinstance(word, Path) else str(word) for word in words])
        except SystemExit as stop:
            code = int(stop.code or 0)
        except GansembleError as error:  # with GANSEMBLE_TRACEBACK
            code = error.exit_code
        sys.stdout.flush()
        found = capfd.readouterr()
        return Result(code, found.out + found.err)

    return command


@pytest.fixture
def exp(tmp_path: Path) -> Path:
    return made_exp(tmp_path / "exp")


def made_exp(exp: Path, seed: int = 0) -> Path:
    exp.mkdir(parents=True, exist_ok=True)
    (exp / "recipe.yaml").write_text(RECIPE)
    recipe = check.load(exp / "recipe.yaml")
    torch.manual_seed(seed)
    folder = checkpoint.Store(exp / "checkpoints").begin(2)
    checkpoint.save_network(folder / "generator.safetensors", generator(recipe).state_dict())
    (folder / "recipe.yaml").write_text(fill.dump(fill.fill(recipe)))
    checkpoint.Store(exp / "checkpoints").commit(folder, 2, {"best": {}}, set())
    return exp


def mel(path: Path, frames: int = 20, level: float = -5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        np.save(stream, np.full((20, frames), level, np.float32))
    return path


def there(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_whatever_is_wrong_with_one_file_the_others_are_made(run, exp, tmp_path):
    """Bytes that are no text in a name, an empty file, one that is cut, of another kind, unreadable, a name too long."""
    folder = tmp_path / "in"
    for name in ("a", "z", "sub/b"):
        mel(folder / f"{name}.npy")
    (folder / "empty.npy").write_bytes(b"")
    (folder / "cut.npy").write_bytes((folder / "a.npy").read_bytes()[:200])
    (folder / "head.npy").write_bytes(b"\x93NUMPY\x01\x00\xff\xff{'descr': '<f4', 'shape': (20, 9")
    (folder / "text.wav").write_text("no audio")
    np.save(folder / "nan.npy", np.full((20, 9), np.nan, np.float32))
    np.save(folder / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    mel(folder / ("n" * 250 + ".npy"))
    with (folder / os.fsdecode(b"caf\xe9.wav")).open("wb") as out:
        soundfile.write(out, np.zeros(1600), 16000, format="WAV")
    done = run("synthesise", "--exp", exp, "--input", folder, "--output", tmp_path / "out")
    faults = [line for line in done.said.splitlines() if line.startswith("error:")]
    assert done.code == 1 and "Traceback" not in done.said
    made = {os.fsencode(name) for name in there(tmp_path / "out")}
    assert {b"a.wav", b"z.wav", b"sub/b.wav", b"synthesis.json", b"n" * 250 + b".wav"} <= made
    failed = 11 - len([name for name in made if name.endswith(b".wav")])
    assert len(faults) == failed + 1 and faults[-1].startswith(f"error: {failed} of 11 waveforms could not be made")
    for name in ("empty.npy", "cut.npy", "head.npy", "text.wav", "nan.npy", "object.npy"):
        assert any(name in line for line in faults[:-1]), name
    assert not [name for name in made if b".tmp" in name or b".jsonl" in name]


def test_a_generator_that_makes_nan_of_one_file_fails_of_that_file(run, exp, tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        mel(tmp_path / "in" / f"{name}.npy", level=-4 if name == "b" else -5)
    make = vocoding._pieces

    def pieces(loaded: Any, blocks: Any, core: int, label: Any) -> Any:
        for block in (whole := list(blocks)):
            if float(block["mel"][0, 0]) == -4:
                yield torch.full((1, 64), torch.nan)
        yield from make(loaded, iter(whole), core, label)

    monkeypatch.setattr(vocoding, "_pieces", pieces)
    done = run("synthesise", "--exp", exp, "--input", tmp_path / "in", "--output", tmp_path / "out")
    assert done.code == 1 and "b.npy: the generator made NaN or Inf of it, near 0.0 s" in done.said
    assert {"a.wav", "c.wav"} == {name for name in there(tmp_path / "out") if name.endswith("wav")}
    assert "2 of 3 waveforms made in" in done.said


@pytest.mark.parametrize(
    "error", [MemoryError(), EOFError("ends"), RuntimeError("codec"), KeyError("x"), OSError(5, "Input/output error")]
)
def test_any_exception_of_one_file_is_its_own(run, exp, tmp_path, monkeypatch, error):
    for name in ("a", "b"):
        mel(tmp_path / "in" / f"{name}.npy")
    make = vocoding.synthesise_file

    def synthesise_file(loaded: Any, source: Path, *rest: Any) -> Any:
        if source.stem == "a":
            raise error
        return make(loaded, source, *rest)

    monkeypatch.setattr(vocoding, "synthesise_file", synthesise_file)
    done = run("synthesise", "--exp", exp, "--input", tmp_path / "in", "--output", tmp_path / "out")
    assert (
        done.code == 1
        and f"error: {tmp_path / 'in' / 'a.npy'}: " in done.said
        and (tmp_path / "out" / "b.wav").is_file()
    )
    assert "Traceback" not in done.said and "1 of 2 waveforms could not be made" in done.said.splitlines()[-1]
    monkeypatch.setenv("GANSEMBLE_TRACEBACK", "1")
    done = run("synthesise", "--exp", exp, "--input", tmp_path / "in" / "a.npy", "--output", tmp_path / "out")
    assert "Traceback" in done.said and "in synthesise_file" in done.said


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE])
def test_what_every_file_would_meet_ends_the_command_at_once(run, exp, tmp_path, monkeypatch, number):
    """Also where a library hides it behind an error of its own."""
    for name in ("a", "b", "c"):
        mel(tmp_path / "in" / f"{name}.npy")
    calls = []

    def synthesise_file(loaded: Any, source: Path, *rest: Any) -> Any:
        calls.append(source)
        try:
            raise OSError(number, os.strerror(number), str(tmp_path / "out"))
        except OSError as error:
            raise RuntimeError("could not write") from error

    monkeypatch.setattr(vocoding, "synthesise_file", synthesise_file)
    done = run("synthesise", "--exp", exp, "--input", tmp_path / "in", "--output", tmp_path / "out")
    assert (
        done.code == 1 and len(calls) == 1 and os.strerror(number) in done.said and "0 of 3 waveforms made" in done.said
    )


def test_an_output_folder_that_goes_ends_the_command_at_once(run, exp, tmp_path, monkeypatch):
    import shutil

    for name in ("a", "b", "c"):
        mel(tmp_path / "in" / f"{name}.npy")
    calls = []

    def synthesise_file(loaded: Any, source: Path, *rest: Any) -> Any:
        calls.append(source)
        shutil.rmtree(tmp_path / "out")
        raise OSError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(vocoding, "synthesise_file", synthesise_file)
    done = run("synthesise", "--exp", exp, "--input", tmp_path / "in", "--output", tmp_path / "out")
    assert done.code == 1 and len(calls) == 1 and "is no longer a folder" in done.said


# what is there ----------------------------------------------------------


def test_files_of_others_are_never_replaced_unless_asked(run, exp, tmp_path):
    mel(tmp_path / "in" / "a.npy"), mel(tmp_path / "in" / "b.npy")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.wav").write_text("mine")
    (tmp_path / "elsewhere.wav").write_text("mine")
    words = ("synthesise", "--exp", exp, "--input", tmp_path / "in", "--output", tmp_path / "out")
    done = run(*words)
    assert done.code == 1 and "1 of 2 outputs are there already" in done.said and "b.wav" in done.said
    assert there(tmp_path / "out") == {"b.wav": b"mine"}
    (tmp_path / "out" / "b.wav").unlink()
    for target in (tmp_path / "elsewhere.wav", tmp_path / "gone"):  # links are files of others too
        (tmp_path / "out" / "b.wav").symlink_to(target)
        assert run(*words).code == 1 and (tmp_path / "elsewhere.wav").read_text() == "mine"
        if target.name != "gone":
            (tmp_path / "out" / "b.wav").unlink()
    assert run(*words, "--overwrite").code == 0
    assert not (tmp_path / "out" / "b.wav").is_symlink() and not (tmp_path / "gone").exists()


def test_what_was_made_of_the_same_is_passed_over_and_of_anything_else_refused(run, exp, tmp_path):
    source = mel(tmp_path / "in" / "a.npy")
    words = ["synthesise", "--exp", exp, "--input", source, "--output", tmp_path / "out"]
    assert run(*words).code == 0
    before = there(tmp_path / "out")
    again = run(*words)
    assert (
        again.code == 0
        and "is there already, made of the same input" in again.said
        and there(tmp_path / "out") == before
    )
    assert "0 of 1 waveforms made in" in again.said and "1 were there already" in again.said
    assert run(*words, "--format", "float").code == 1 and run(*words, "--precision", "bf16").code == 1
    assert run(*words[:2], made_exp(tmp_path / "other", 1), *words[3:]).code == 1
    assert there(tmp_path / "out") == before
    mel(source, level=-4)
    assert "were not made of these inputs" in run(*words).said
    mel(source)
    (tmp_path / "out" / "a.wav").write_bytes(before["a.wav"] + b"changed")
    assert run(*words).code == 1, "somebody changed it"
    assert run(*words, "--overwrite").code == 0 and there(tmp_path / "out")["a.wav"] == before["a.wav"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "3", '{"a.wav": 3}', '{"a.wav": {"made_from": 1}}', "[" * 100_000, "\xff"]
)
def test_a_damaged_record_counts_as_none(run, exp, tmp_path, text):
    source = mel(tmp_path / "in" / "a.npy")
    words = ("synthesise", "--exp", exp, "--input", source, "--output", tmp_path / "out")
    assert run(*words).code == 0
    (tmp_path / "out" / "synthesis.json").write_bytes(text.encode("latin-1"))
    done = run(*words)
    assert done.code == 1 and "outputs are there already" in done.said and "Traceback" not in done.said
    assert run(*words, "--overwrite").code == 0 and "a.wav" in json.loads(
        (tmp_path / "out" / "synthesis.json").read_text()
    )


def test_a_killed_command_is_gone_on_from(run, exp, tmp_path):
    """Its lines beside the record tell what it had made."""
    for name in ("a", "b"):
        mel(tmp_path / "in" / f"{name}.npy")
    words = ("synthesise", "--exp", exp, "--input", tmp_path / "in", "--output", tmp_path / "out")
    assert run(*words).code == 0
    known = json.loads((tmp_path / "out" / "synthesis.json").read_text())
    (tmp_path / "out" / "synthesis.json").unlink()
    (tmp_path / "out" / "b.wav").unlink()
    lines = json.dumps(["a.wav", known["a.wav"]]) + '\n["b.wav", {"made_'
    (tmp_path / "out" / ".synthesis.json.0123456789abcdef.jsonl").write_text(lines)
    done = run(*words)
    assert done.code == 0 and "1 of 2 waveforms made" in done.said and (tmp_path / "out" / "b.wav").is_file()


def test_an_output_that_appears_meanwhile_is_left_as_it_is(run, exp, tmp_path, monkeypatch):
    mel(tmp_path / "in" / "a.npy")
    make = vocoding._pieces

    def pieces(*given: Any) -> Any:
        (tmp_path / "out" / "a.wav").write_text("another command's")
        return make(*given)

    monkeypatch.setattr(vocoding, "_pieces", pieces)
    done = run("synthesise", "--exp", exp, "--input", tmp_path / "in", "--output", tmp_path / "out")
    assert done.code == 1 and "a.wav: is there by now, made by another" in done.said
    assert (tmp_path / "out" / "a.wav").read_text() == "another command's"


def test_no_output_replaces_an_input_under_whatever_name(run, exp, tmp_path):
    """Of the same file or of another, through a link of either kind."""
    source = tmp_path / "in" / "a.wav"
    source.parent.mkdir()
    soundfile.write(source, np.zeros(1600), 16000)
    before = source.read_bytes()
    (tmp_path / "out").mkdir()
    for link in (Path.symlink_to, Path.hardlink_to):
        link(tmp_path / "out" / "a.wav", source)
        done = run("synthesise", "--exp", exp, "--input", source, "--output", tmp_path / "out", "--overwrite")
        assert done.code == 1 and "would overwrite its input" in done.said and source.read_bytes() == before
        (tmp_path / "out" / "a.wav").unlink()
    for output in (tmp_path / "in", tmp_path / "in" / "new"):
        done = run("synthesise", "--exp", exp, "--input", tmp_path / "in", "--output", output, "--overwrite")
        assert done.code == 1 and "would lie in the input folder" in done.said
    assert there(tmp_path / "in") == {"a.wav": before}


def test_two_inputs_of_one_output_are_refused_where_the_disk_takes_them_for_one(run, exp, tmp_path, monkeypatch):
    from gansemble.cli import made_files

    for name in ("A", "a"):
        mel(tmp_path / "in" / f"{name}.npy")
    words = ("synthesise", "--exp", exp, "--input", tmp_path / "in", "--output", tmp_path / "out")
    if len(list((tmp_path / "in").iterdir())) == 2:
        assert run(*words).code == 0 and {"a.wav", "A.wav"} <= set(there(tmp_path / "out"))
    monkeypatch.setattr(made_files, "_case_insensitive", lambda folder: True)
    done = run(*words[:-1], tmp_path / "other")
    assert done.code == 1 and "several inputs would be written to" in done.said and not (tmp_path / "other").exists()


def test_spectrograms_keep_to_the_same(run, exp, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        soundfile.write(folder / f"{name}.wav", 0.1 * np.sin(np.arange(1600)), 16000)
    (folder / "c.wav").write_text("no audio")
    words = ("mels", exp / "recipe.yaml", "--input", folder, "--output", tmp_path / "out")
    done = run(*words)
    assert done.code == 1 and "1 of 3 spectrograms could not be made" in done.said
    again = run(*words)
    assert again.code == 1 and again.said.count("is there already") == 2
    before = there(tmp_path / "out")
    done = run(*words, "--set", "audio.hop=32", "--set", "data.rate=error")
    assert done.code == 1 and "were computed otherwise" in done.said and there(tmp_path / "out") == before


# ends -------------------------------------------------------------------


@pytest.mark.usefixtures("signals_heard")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_command_and_keeps_what_was_made(exp, tmp_path, monkeypatch, number):
    for name in ("a", "b", "c"):
        mel(tmp_path / "in" / f"{name}.npy")
    make = vocoding.synthesise_file

    def synthesise_file(loaded: Any, source: Path, *rest: Any) -> Any:
        if source.stem == "b":
            os.kill(os.getpid(), number)
        return make(loaded, source, *rest)

    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)]
    words = ["synthesise", "--exp", str(exp), "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    with monkeypatch.context() as patch:
        patch.setattr(vocoding, "synthesise_file", synthesise_file)
        done = CliRunner().invoke(cli.group, words)
    assert isinstance(done.exception, Interrupted) and done.exception.exit_code == 75
    assert "stopped: 1 of 3 waveforms made" in str(done.exception)
    assert before == [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)]
    assert set(there(tmp_path / "out")) == {"a.wav", "synthesis.json"}
    assert CliRunner().invoke(cli.group, words).exit_code == 0


def test_a_disk_that_is_full_is_told_as_such(exp, tmp_path, monkeypatch):
    """Libraries that write audio say nothing but that they failed."""
    from gansemble import files

    monkeypatch.setattr(files, "_no_space", lambda folder: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    with pytest.raises(OSError, match="No space left on device") as caught, files.staged_file(tmp_path / "a.wav"):
        raise soundfile.LibsndfileError(2)
    assert caught.value.filename == str(tmp_path / "a.wav") and not (tmp_path / "a.wav").exists()
    assert list(tmp_path.glob(".*")) == []


# names ------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("synthesise", "--exp", "", "--input", "a", "--output", "o"),
        ("enhance", "a", "--exp", "", "--output", "o"),
        ("sample", "--exp", "", "--output", "o"),
        ("sample", "--exp", "e", "--output", " "),
        ("mels", "--exp", "", "--input", "a", "--output", "o"),
        ("train", "r.yaml", "--exp", ""),
        ("prepare", "r.yaml", "--dump", ""),
        ("status", ""),
        ("import", "hifigan", "--generator", "g", "--config", "c", "--exp", ""),
        ("recipes", "copy", "ljspeech/specdiff", ""),
        ("plugins", "new", "acme", "--out", ""),
    ],
)
def test_an_empty_path_is_refused(run, tmp_path, monkeypatch, words):
    """It would stand for the folder that the user is in."""
    monkeypatch.chdir(tmp_path)
    for name in ("g", "c"):
        (tmp_path / name).touch()
    done = run(*words)
    assert done.code == 2 and "expected a path, got an empty word" in done.said and len(list(tmp_path.iterdir())) == 2


def test_stage_1_tells_of_an_experiment_that_lies_too_deep(tmp_path):
    (tmp_path / "r.yaml").write_text(RECIPE)
    deep = tmp_path.joinpath(*["d" * 200] * 19)
    words = ["prepare", tmp_path / "r.yaml", "--data", tmp_path / "data", "--exp", deep, "--dump", tmp_path / "dump"]
    words = [str(word) for word in words]
    done = CliRunner().invoke(cli.group, words)
    assert isinstance(done.exception, GansembleError) and "Give an --exp with a shorter path" in str(done.exception)


def test_a_closed_pipe_is_no_files_fault(exp, tmp_path):
    for name in "abcdef":
        mel(tmp_path / "in" / f"{name}.npy")
    words = ["synthesise", "--exp", str(exp), "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    reading, writing = os.pipe()
    os.close(reading)
    child = subprocess.run(
        [sys.executable, "-u", "-m", "gansemble", *words],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    os.close(writing)
    assert child.returncode != 0 and "could not be made" not in child.stderr and "Traceback" not in child.stderr


def test_a_command_says_what_a_folder_of_inputs_holds_besides(tmp_path, capsys):
    """An ``.m4a`` that nobody decodes would else be missed after an hour."""
    from gansemble.cli.input_files import expand

    for name in ("a.WAV", "b.m4a", "._a.wav", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "gone.wav").symlink_to("nowhere")
    assert expand(tmp_path) == [(tmp_path / "a.WAV", "a")]
    said = capsys.readouterr().out
    assert "passed over, as no inputs: 1 link to nothing (gone.wav), 1 hidden file (._a.wav), 1 file of .txt" in said
    assert "warning: left out, as their formats cannot be decoded here: 1 file (b.m4a)" in said
