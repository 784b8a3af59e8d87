"""Exported files are run by NumPy and ONNX Runtime alone, in bounded memory, and unusable ones and inputs are told."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import exported_experiments as experiments
import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner, Result

import gansemble
from gansemble import cli
from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.errors import GansembleError
from gansemble.inference.vocoding import synthesise_file

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from gansemble.exporting import runner as runner_module  # noqa: E402  # needs onnxruntime
from gansemble.exporting.files import label_of, open_runner  # noqa: E402
from gansemble.exporting.runner import Runner, UnusableFile, mel_basis  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Experiments and exported files of all tasks, and recordings at 16 kHz."""
    place = tmp_path_factory.mktemp("run")
    for name, text in (
        ("vocoder", experiments.VOCODER),
        ("speakers", experiments.SPEAKERS),
        ("restorer", experiments.RESTORER),
        ("generator", experiments.GENERATOR),
    ):
        exp = experiments.make(place / name, text, ("ann", "bob", "cy") if name == "speakers" else ())
        gansemble.export(exp, place / f"{name}.onnx")
    sound = 0.1 * np.random.default_rng(0).standard_normal((30_011, 2))
    soundfile.write(place / "mono.wav", sound[:, 0], 16000)
    soundfile.write(place / "stereo.wav", sound, 16000)
    soundfile.write(place / "slow.wav", sound[:8000, 0], 8000)
    soundfile.write(place / "short.wav", sound[:50, 0], 16000)
    soundfile.write(place / "empty.wav", sound[:0, 0], 16000)
    return place


@pytest.fixture(scope="module")
def vocoder(folder) -> Runner:
    return Runner(folder / "vocoder.onnx")


def synthesise(*words: object) -> Result:
    return CliRunner().invoke(cli.group, ["synthesise", *map(str, words)], catch_exceptions=True)


def fault(*words: object) -> str:
    result = synthesise(*words)
    assert result.exit_code != 0
    return f"{result.output} {result.exception or ''}"


# without torch --------------------------------------------------------------


def test_the_command_never_imports_torch(folder, tmp_path):
    program = (
        "import sys\nfrom gansemble import cli\n"
        f"cli.group(['synthesise', '--onnx', {str(folder / 'vocoder.onnx')!r}, '--input', {str(folder / 'mono.wav')!r}, "
        f"'--output', {str(tmp_path / 'made')!r}], standalone_mode=False)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert (tmp_path / "made" / "mono.wav").is_file()


def test_the_runner_works_where_it_is_copied_to(folder, tmp_path, vocoder):
    copied = shutil.copy(runner_module.__file__, tmp_path / "runner.py")
    words = [folder / "vocoder.onnx", folder / "mono.wav", tmp_path / "made.wav"]
    program = f"import sys; sys.modules['gansemble'] = None; sys.argv = {[str(copied), *map(str, words)]!r}\n"
    program += f"exec(compile(open({str(copied)!r}).read(), 'runner.py', 'exec'))"
    subprocess.run([sys.executable, "-I", "-c", program], timeout=120, check=True)
    made, rate = soundfile.read(tmp_path / "made.wav", dtype="float32")
    recording, _ = soundfile.read(folder / "mono.wav", dtype="float32")
    wanted = vocoder({"mel": vocoder.mel(recording)[None]})[0, 0]
    assert rate == 16000 and np.abs(made - wanted).max() < 1e-4


# mel spectrograms -----------------------------------------------------------

SPECS = [
    AudioSpec(),
    AudioSpec(sample_rate=44100, n_fft=2048, hop=512, window=2048, fmax=None),
    AudioSpec(sample_rate=16000, n_fft=1024, hop=200, window=800, mels=40, fmin=60),
    AudioSpec(sample_rate=24000, mels=100, fmin=0, fmax=None, mel_filters="htk"),
]


@pytest.mark.parametrize("spec", SPECS)
def test_the_mel_spectrogram_is_that_of_training(spec, vocoder, monkeypatch):
    """Held against float64, as float32 itself is off by more where one band is much louder than the next."""
    monkeypatch.setattr(vocoder, "audio", spec.as_dict())
    monkeypatch.setattr(vocoder, "_basis", mel_basis(spec.as_dict()))
    walk = np.cumsum(np.random.default_rng(0).standard_normal(20_001))  # falls with frequency, as speech does
    audio = (0.5 * walk / np.abs(walk).max()).astype(np.float32)
    wanted = log_mel(torch.from_numpy(audio).double()[None], spec)[0].numpy()
    made = vocoder.mel(audio)
    assert made.shape == wanted.shape and np.abs(made - wanted).max() < 1e-5


@pytest.mark.parametrize("length", [97, 160, 161, 4000, 70_000])
def test_a_spectrogram_made_in_blocks_is_that_of_the_whole(vocoder, length):
    audio = np.random.default_rng(1).standard_normal(length).astype(np.float32)
    wanted = log_mel(torch.from_numpy(audio).double()[None], AudioSpec(**vocoder.audio))[0].numpy()
    for size in (1, 50, 1000) if length < 5000 else (9001, length):
        blocks = (audio[first : first + size] for first in range(0, length, size))
        made = np.concatenate(list(vocoder.mels(blocks)), 1)
        assert made.shape == wanted.shape and np.abs(made - wanted).max() < 1e-5


@pytest.mark.parametrize("length", [0, 1, 96])
def test_audio_without_a_frame_is_refused(vocoder, length):
    with pytest.raises(ValueError, match=f"{length} samples are too few; at least 97 are needed"):
        vocoder.mel(np.zeros(length, np.float32))


# chunks ---------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 7, 300])
def test_chunks_make_what_the_whole_makes(vocoder, frames):
    mel = (np.random.default_rng(2).standard_normal((1, 20, frames)) - 5).astype(np.float32)
    blocks = ({"mel": mel[:, :, first : first + 13]} for first in range(0, frames, 13))
    made = np.concatenate(list(vocoder.pieces(blocks, seconds=0.1)), 1)
    assert made.shape == (1, frames * 64) and np.abs(made - vocoder({"mel": mel})[:, 0]).max() < 1e-6


def test_recordings_are_restored_in_chunks_as_they_are_whole(folder):
    restorer = Runner(folder / "restorer.onnx")
    audio = 0.1 * np.random.default_rng(3).standard_normal((2, 1, 10_007)).astype(np.float32)
    blocks = ({"degraded": audio[:, :, first : first + 999]} for first in range(0, 10_007, 999))
    made = np.concatenate(list(restorer.pieces(blocks, seconds=0.05)), 1)
    whole = restorer({"degraded": audio})[:, 0]
    assert made.shape == whole.shape == (2, 10_007) and np.abs(made - whole).max() < 1e-6
    assert np.abs(whole - audio[:, 0]).max() > 1e-3


def test_an_hour_takes_the_memory_of_a_minute(vocoder, monkeypatch):
    seen = []

    def made(self, given):
        seen.append(given["mel"].shape[2])
        return np.zeros((1, 1, given["mel"].shape[2] * 64), np.float32)

    monkeypatch.setattr(Runner, "__call__", made)
    block = np.zeros((1, 20, 1000), np.float32)
    total = sum(piece.shape[1] for piece in vocoder.pieces(({"mel": block} for _ in range(900)), seconds=10))
    assert total == 900_000 * 64
    # Ten seconds are 2,500 frames, with ten frames of context on each side.
    assert max(seen) == 2520


# the command ----------------------------------------------------------------


def test_the_command_makes_what_the_experiment_makes(folder, tmp_path):
    mel = (np.random.default_rng(4).standard_normal((20, 400)) - 5).astype(np.float32)
    np.save(tmp_path / "mel.npy", mel)
    words = ["--input", folder / "mono.wav", "--input", tmp_path / "mel.npy", "--output", tmp_path / "made"]
    result = synthesise("--onnx", folder / "vocoder.onnx", *words, "--format", "float")
    assert result.exit_code == 0, result.output
    trained = gansemble.load(folder / "vocoder", device="cpu")
    for source in (folder / "mono.wav", tmp_path / "mel.npy"):
        synthesise_file(trained, source, tmp_path / "wanted.wav", "float", 10)
        made, wanted = (
            soundfile.read(path)[0] for path in (tmp_path / "made" / f"{source.stem}.wav", tmp_path / "wanted.wav")
        )
        assert made.shape == wanted.shape and np.abs(made - wanted).max() < 1e-5


def test_a_recording_is_restored_with_its_channels(folder, tmp_path):
    words = [
        "--onnx",
        folder / "restorer.onnx",
        "--input",
        folder / "stereo.wav",
        "--output",
        tmp_path,
        "--format",
        "float",
    ]
    assert synthesise(*words).exit_code == 0
    made, _ = soundfile.read(tmp_path / "stereo.wav", dtype="float32")
    recording, _ = soundfile.read(folder / "stereo.wav", dtype="float32")
    wanted = gansemble.load(folder / "restorer", device="cpu")(torch.from_numpy(recording.T.copy())).numpy().T
    assert made.shape == wanted.shape and np.abs(made - wanted).max() < 1e-5


def test_a_clip_is_the_same_whatever_the_count(folder, tmp_path):
    for count, place in ((1, "one"), (3, "three")):
        words = ["--onnx", folder / "generator.onnx", "--count", count, "--seed", 5, "--output", tmp_path / place]
        assert synthesise(*words).exit_code == 0
    clips = [(tmp_path / place / "clip-00000.wav").read_bytes() for place in ("one", "three")]
    assert clips[0] == clips[1] != (tmp_path / "three" / "clip-00002.wav").read_bytes()


def test_another_rate_is_refused_or_converted(folder, tmp_path):
    words = ["--onnx", folder / "restorer.onnx", "--input", folder / "slow.wav", "--output", tmp_path]
    assert "expected 16000 Hz, got 8000 Hz; resample it, or pass --resample" in fault(*words)
    assert synthesise(*words, "--resample").exit_code == 0
    assert soundfile.info(tmp_path / "slow.wav").frames == 16000


def test_a_class_is_named_as_the_generator_learnt_it(folder, tmp_path):
    words = ["--onnx", folder / "speakers.onnx", "--input", folder / "mono.wav", "--output", tmp_path / "made"]
    assert "give --label, one of ann, bob, cy" in fault(*words)
    assert "did you mean 'bob'" in fault(*words, "--label", "bo")
    assert "no such class" in fault(*words, "--label", "3")
    made = []
    for label in ("bob", "1", "cy"):
        assert synthesise(*words, "--label", label, "--overwrite").exit_code == 0
        made.append((tmp_path / "made" / "mono.wav").read_bytes())
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("short.wav", "50 samples are too few; at least 97 are needed"),
        ("empty.wav", "holds no samples"),
        ("stereo.wav", "expected mono, got 2 channels"),
    ],
)
def test_recordings_that_cannot_be_used_are_told_and_leave_nothing(folder, tmp_path, name, told):
    said = fault("--onnx", folder / "vocoder.onnx", "--input", folder / name, "--output", tmp_path / "made")
    assert told in said and name in said
    assert not list((tmp_path / "made").glob("*.wav"))


@pytest.mark.parametrize(
    ("mel", "told"),
    [
        (np.zeros((100, 20)), "got shape (100, 20); it is transposed"),
        (np.zeros((20, 0)), "holds no frames"),
        (np.full((20, 5), np.nan), "holds NaN or Inf"),
        (np.full((20, 5), 3), "expected floating-point numbers, got int64"),
        (np.linspace(-80, 0, 400).reshape(20, 20), "they look like decibels"),
    ],
)
def test_spectrograms_that_cannot_be_used_are_told(folder, tmp_path, mel, told):
    np.save(tmp_path / "mel.npy", mel)
    said = fault("--onnx", folder / "vocoder.onnx", "--input", tmp_path / "mel.npy", "--output", tmp_path / "made")
    assert told in said and "mel.npy" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--input", "x.wav"], "makes clips of its own: give --count"),
        (["--count", 2, "--exp", "exp"], "--onnx takes the place of RECIPE and --exp"),
        (["--count", 2, "--precision", "bf16"], "--precision goes with --exp"),
        ([], "give --count"),
    ],
)
def test_options_that_do_not_go_together_are_told(folder, tmp_path, words, told):
    assert told in fault("--onnx", folder / "generator.onnx", "--output", tmp_path / "made", *words)


@pytest.mark.parametrize(("given", "index"), [("24", 0), ("84", 60)])
def test_a_pitch_is_counted_from_the_lowest(given, index):
    built = SimpleNamespace(facts={"labels": 61, "classes": [], "first_pitch": 24})
    assert label_of(built, Path("notes.onnx"), given) == index
    for other in ("23", "85", "low"):
        with pytest.raises(GansembleError, match="expected 24 to 84"):
            label_of(built, Path("notes.onnx"), other)


# inputs of the runner -------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "expected the inputs mel, got none"),
        ({"mel": np.zeros((1, 20, 3)), "f0": np.zeros((1, 1, 3))}, "got f0, mel"),
        ({"mel": np.zeros((20, 3))}, r"mel: expected \[batch, 20, frames\], got \[20, 3\]"),
        ({"mel": np.zeros((1, 3, 20))}, "it is transposed"),
        ({"mel": np.zeros((1, 20, 0))}, r"mel: is empty, \[1, 20, 0\]"),
        ({"mel": np.full((1, 20, 3), np.inf)}, "mel: holds NaN or Inf"),
    ],
)
def test_arrays_that_do_not_fit_are_told(vocoder, given, told):
    with pytest.raises(ValueError, match=told):
        vocoder(given)


# files ----------------------------------------------------------------------


def changed(folder: Path, target: Path, change) -> Path:
    """The vocoder's file with other metadata."""
    model = onnx.load(folder / "vocoder.onnx")
    (entry,) = model.metadata_props
    text = change(json.loads(entry.value))
    del model.metadata_props[:]
    if text is not None:
        new = model.metadata_props.add()
        new.key, new.value = "gansemble", text
    onnx.save(model, target)
    return target


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda facts: None, "has no metadata of gansemble; it was made by another program"),
        (lambda facts: json.dumps(facts | {"format": 2}), "is of format 2, newer than 1"),
        (lambda facts: "{", "its metadata are damaged"),
        (lambda facts: json.dumps({"format": 1}), "its metadata lack alignment, audio"),
    ],
)
def test_files_of_others_and_of_later_versions_are_told(folder, tmp_path, change, told):
    with pytest.raises(UnusableFile, match=told):
        Runner(changed(folder, tmp_path / "file.onnx", change))


def test_files_that_are_none_are_told(folder, tmp_path):
    whole = (folder / "vocoder.onnx").read_bytes()
    for name, content in (("cut.onnx", whole[: len(whole) // 2]), ("text.onnx", b"hello"), ("none.onnx", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnusableFile, match=name):
            Runner(tmp_path / name)
    with pytest.raises(UnusableFile, match="no such file; gansemble export writes one"):
        Runner(tmp_path / "missing.onnx")


def test_a_file_that_makes_no_audio_is_told(folder, tmp_path):
    def of_items(facts):
        return json.dumps(facts | {"output": {"name": "items", "domain": "pictures"}})

    with pytest.raises(GansembleError, match="makes items of pictures, no audio"):
        open_runner(changed(folder, tmp_path / "file.onnx", of_items))
