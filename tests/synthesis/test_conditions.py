"""Labels and signals beside the mel spectrogram: from training to files and Python, and refused where they are missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

import gansemble
from gansemble.audio.features import log_mel
from gansemble.data import signal_files
from gansemble.errors import GansembleError
from gansemble.parts.conditioning import ConditionBuilder
from gansemble.recipe import check

BASE = """
audio: {sample_rate: 8000, n_fft: 256, hop: 64, window: 256, mels: 20, fmin: 0, fmax: null}
corpus: {use: fsdd}
data: {short: pad}
discriminators: {mpd: {use: multi_period, periods: [2, 3], channels: [3, 4]}}
objective: {use: lsgan}
losses: {mel: {use: mel_l1, weight: 45}}
metrics: {mel_distance: {use: mel_distance}}
plan: {steps: 2, batch_size: 4, segment: 2048, log_every: 1, save_every: 2}
validation: {every: 2, clips: 2, audio: 1, metrics: [mel_distance], best: mel_distance}
synthesis: {split: validation, clips: 3}
optimisers: {generator: {use: adamw, lr: 1e-3}, discriminators: {use: adamw, lr: 1e-3}}
"""
KINDS = {
    "sung": BASE
    + """
generator: {use: hnsf, channels: 8, upsample_rates: [8, 8], upsample_kernels: [16, 16], kernels: [3], dilations: [1]}
features: {f0: {use: f0, fmin: 80, fmax: 400}}
""",
    "spoken": BASE
    + """
generator:
  use: hifigan
  channels: 8
  upsample_rates: [8, 8]
  upsample_kernels: [16, 16]
  kernels: [3]
  dilations: [[1]]
  classes: 10
""",
}
#: The same of speakers, whose names are labels of the corpus.
KINDS["of speakers"] = (
    KINDS["spoken"].replace("classes: 10", "classes: 2").replace("{short: pad}", "{short: pad, label: speaker}")
)

Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def done(kind, tmp_path_factory) -> Path:
    """All stages of a tiny recipe."""
    from gansemble.cli import group

    folder = tmp_path_factory.mktemp(kind)
    (folder / "r.yaml").write_text(KINDS[kind])
    words = [str(folder / "r.yaml"), "--exp", str(folder / "exp"), "--data", str(folder / "data")]
    words += ["--dump", str(folder / "dump")]
    CliRunner().invoke(group, ["mini", words[0], "--output", str(folder / "data")], catch_exceptions=False)
    for stage in ("fetch", "prepare", "statistics", "train", "synthesise", "evaluate"):
        found = CliRunner().invoke(group, [stage, *words])
        assert found.exit_code == 0, found.output
    return folder


@pytest.fixture
def synthesise(done) -> Command:
    from gansemble.cli import group

    def run(output: Path, source: Path, *words: object) -> tuple[int, str]:
        given = ["synthesise", "--exp", str(done / "exp"), "--input", str(source), "--output", str(output)]
        made = CliRunner().invoke(group, [*given, "--format", "float", *map(str, words)])
        if isinstance(made.exception, GansembleError):
            return 1, made.output + str(made.exception)
        return made.exit_code, made.output

    return run


def label_of(kind: str, row: dict) -> int | str | None:
    """What a clip is conditioned on besides its mel spectrogram."""
    return {"sung": None, "spoken": row["labels"]["label"], "of speakers": row["labels"]["speaker"]}[kind]


def first(done: Path) -> tuple[dict, np.ndarray, np.ndarray]:
    """A clip of stage 4: its line of the manifest, the recording as packed, and what was made of it."""
    index = json.loads((done / "exp/samples/index.json").read_text())
    clip = index["clips"][0]
    rows = [json.loads(line) for line in (done / "dump/manifest.jsonl").read_text().splitlines()]
    row = next(row for row in rows if row.get("id") == clip["id"])
    packed = np.memmap(done / "dump" / row["pack"], np.int16)[row["offset"] : row["offset"] + row["frames"]]
    made, _ = soundfile.read(done / "exp/samples/validation" / f"{clip['id']}.wav", dtype="float32")
    return row, (packed / np.float32(32768)).astype(np.float32), made


def test_stage_4_validation_files_and_python_make_the_same(kind, done, synthesise, tmp_path):
    """Each held-out clip is made with its own label, and its own fundamental frequency."""
    row, recording, made = first(done)
    whole = len(recording) // 64 * 64
    soundfile.write(tmp_path / "a.wav", recording[:whole], 8000, subtype="FLOAT")
    label = label_of(kind, row)
    words = () if label is None else ("--label", label)
    code, said = synthesise(tmp_path / "out", tmp_path / "a.wav", *words)
    assert code == 0, said
    again, _ = soundfile.read(tmp_path / "out/a.wav", dtype="float32")
    np.testing.assert_allclose(again, made, atol=1 / 32768)
    vocoder = gansemble.load(done / "exp", device="cpu")
    audio = torch.from_numpy(recording[:whole])[None, None]
    signals = ConditionBuilder(vocoder.recipe).computed(audio)
    mel = signals.pop("mel")
    python = vocoder(mel, label=label, **signals)[0, 0].clamp(-1, 1)
    np.testing.assert_allclose(python.numpy(), made, atol=1 / 32768)


def test_another_label_or_signal_makes_another_sound(kind, done, synthesise, tmp_path):
    row, recording, made = first(done)
    soundfile.write(tmp_path / "a.wav", recording[: len(recording) // 64 * 64], 8000, subtype="FLOAT")
    if kind == "spoken":
        words = ("--label", (row["labels"]["label"] + 1) % 10)
    elif kind == "of speakers":
        words = (
            "--label",
            next(name for name in gansemble.load(done / "exp").names if name != row["labels"]["speaker"]),
        )
    else:
        np.save(tmp_path / "f0.npy", np.full(len(recording) // 64, 333.0))
        words = ("--signal", f"f0={tmp_path / 'f0.npy'}")
    assert synthesise(tmp_path / "out", tmp_path / "a.wav", *words)[0] == 0
    again, _ = soundfile.read(tmp_path / "out/a.wav", dtype="float32")
    assert np.abs(again - made).max() > 1e-4


def test_what_is_missing_or_not_read_is_told(kind, done, synthesise, tmp_path):
    _, recording, _ = first(done)
    audio = torch.from_numpy(recording[: len(recording) // 64 * 64])[None, None]
    soundfile.write(tmp_path / "a.wav", audio[0, 0].numpy(), 8000, subtype="FLOAT")
    vocoder = gansemble.load(done / "exp", device="cpu")
    mel = log_mel(audio, vocoder.spec)
    np.save(tmp_path / "m.npy", mel[0].numpy())
    for change in (-3, 3):
        np.save(tmp_path / f"f0{change:+}.npy", np.full(mel.shape[-1] + change, 200.0))
    if kind == "of speakers":
        assert len(vocoder.names) == 2 and tuple(sorted(vocoder.names)) == tuple(vocoder.names)
        with pytest.raises(GansembleError, match=f"no class 'nobody'; classes: {', '.join(vocoder.names)}"):
            vocoder(mel, label="nobody")
        assert torch.equal(vocoder(mel, label=vocoder.names[1]), vocoder(mel, label=1))
        return
    if kind == "spoken":
        with pytest.raises(GansembleError, match="no class 'nine'; its classes have no names; give a number"):
            vocoder(mel, label="nine")
        with pytest.raises(GansembleError, match="generator hifigan reads label, mel; label is missing"):
            vocoder(mel)
        with pytest.raises(GansembleError, match="reads label, mel, and no f0"):
            vocoder(mel, label=3, f0=mel[:, :1])
        assert "label is missing" in synthesise(tmp_path / "out", tmp_path / "a.wav")[1]
        said = synthesise(tmp_path / "out", tmp_path / "a.wav", "--label", 10)[1]
        assert "label 10: must be within 0..9, what generator hifigan was built for" in said
        return
    with pytest.raises(GansembleError, match="generator hnsf reads f0, mel; f0 is missing"):
        vocoder(mel)
    with pytest.raises(
        GansembleError, match=r"f0 must have the items and frames of mel, \[1, 20, \d+\], got \[1, 20, 4\]"
    ):
        vocoder(mel, f0=mel[..., :4])
    assert "f0 is missing" in synthesise(tmp_path / "out", tmp_path / "m.npy")[1]
    assert "reads no label; leave it out" in synthesise(tmp_path / "out", tmp_path / "a.wav", "--label", 1)[1]
    for change, more in ((-3, " or more"), (3, "")):
        said = synthesise(tmp_path / "out", tmp_path / "m.npy", "--signal", f"f0={tmp_path / f'f0{change:+}.npy'}")[1]
        frames = mel.shape[-1]
        assert f"has {frames} frames{more}, but the signal f0 {frames + change}; they must go together" in said
    assert not list((tmp_path / "out").glob("*.wav")), "nothing half made is left"


def test_signals_may_be_a_folder_named_like_the_inputs(kind, done, synthesise, tmp_path):
    if kind != "sung":
        pytest.skip("of the generator that reads a fundamental frequency")
    (tmp_path / "mels").mkdir()
    (tmp_path / "f0s").mkdir()
    for name, hz in (("a", 100.0), ("b", 300.0)):
        np.save(tmp_path / "mels" / f"{name}.npy", np.full((20, 40), -4.0, np.float32))
        np.save(tmp_path / "f0s" / f"{name}.npy", np.full((1, 40), hz))
    code, said = synthesise(tmp_path / "out", tmp_path / "mels", "--signal", f"f0={tmp_path / 'f0s'}")
    assert code == 0, said
    a, b = (soundfile.read(tmp_path / "out" / f"{name}.wav")[0] for name in "ab")
    assert len(a) == len(b) == 40 * 64 and np.abs(a - b).max() > 1e-4
    (tmp_path / "f0s/b.npy").unlink()
    code, said = synthesise(tmp_path / "other", tmp_path / "mels", "--signal", f"f0={tmp_path / 'f0s'}")
    assert code == 1 and "b.npy: cannot be read as the signal f0" in said and (tmp_path / "other/a.wav").is_file()


def test_what_is_wrong_with_all_inputs_is_told_once(kind, done, synthesise, tmp_path, monkeypatch):
    """A signal file for all of them is read once, before any of them."""
    if kind != "sung":
        pytest.skip("of the generator that reads a fundamental frequency")
    (tmp_path / "mels").mkdir()
    for name in "abc":
        np.save(tmp_path / "mels" / f"{name}.npy", np.full((20, 40), -4.0, np.float32))
    for wrong, words, message in (
        (np.full((1, 40), np.nan), "f0", "f0.npy: the signal f0 holds NaN or infinity"),
        (np.full((1, 40), 100.0), "fo", "generator hnsf reads f0, mel; f0 is missing"),
    ):
        np.save(tmp_path / "f0.npy", wrong)
        code, said = synthesise(tmp_path / "out", tmp_path / "mels", "--signal", f"{words}={tmp_path / 'f0.npy'}")
        assert code == 1 and said.count(message) == 1 and "could not be used" not in said
        assert not list((tmp_path / "out").glob("*.wav"))
    read, found = signal_files.read, []
    monkeypatch.setattr(signal_files, "read", lambda name, path: found.append(name) or read(name, path))
    np.save(tmp_path / "short.npy", np.full((1, 39), 100.0))
    code, said = synthesise(tmp_path / "out", tmp_path / "mels", "--signal", f"f0={tmp_path / 'short.npy'}")
    assert code == 1 and said.count("they must go together") == 3 and found == ["f0"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f0", "expected NAME=FILE, such as f0=pitch.npy"),
        ("=a.npy", "expected NAME=FILE"),
        ("f0=gone.npy", "no such file or folder"),
    ],
)
def test_signals_that_are_none_are_refused(synthesise, tmp_path, text, message):
    assert message in synthesise(tmp_path / "out", tmp_path / "a.wav", "--signal", text)[1]


def test_labels_that_clips_lack_or_networks_are_not_built_for_are_refused_before_training(kind, done):
    from gansemble.cli import group

    if kind == "sung":
        return
    words = [str(done / "r.yaml"), "--exp", str(done / "other"), "--data", str(done / "data")]
    words += ["--dump", str(done / "dump")]

    def refused(*changes: str) -> str:
        options = [word for change in changes for word in ("--set", change)]
        found = CliRunner().invoke(group, ["train", *words, *options])
        assert isinstance(found.exception, GansembleError), found.output
        return str(found.exception)

    text = refused("data.label=speeker")
    assert "generator (hifigan) reads a label, but 80 of 80 training clips have no speeker, such as 0_" in text
    assert "its labels: label, speaker" in text
    text = refused("data.label=speaker", "generator.classes=1")
    assert "generator (hifigan) is built for 1 classes, but the label speaker of the packed clips has 2: " in text
    assert "set generator.classes=2, or another data.label" in text
    if kind == "of speakers":
        assert "is built for 2 classes, but corpus (fsdd) has 10" in refused("data.label=label")


def test_a_class_that_would_stand_for_another_is_refused(kind, done, tmp_path):
    """A new speaker between two others moves an index: going on, and beginning with these networks, would be silent nonsense."""
    if kind != "of speakers":
        return
    from gansemble.cli import group

    names = gansemble.load(done / "exp", device="cpu").names
    shutil.copytree(done, tmp_path / "copy")
    for path in sorted((tmp_path / "copy/data/recordings").glob(f"*_{names[1]}_*.wav")):
        shutil.copy(path, path.with_name(path.name.replace(names[1], names[0] + "a")))
    base = [str(done / "r.yaml"), "--data", str(tmp_path / "copy/data"), "--dump", str(tmp_path / "copy/dump")]
    base += ["--set", "generator.classes=3"]
    for stage in ("fetch", "prepare"):
        assert CliRunner().invoke(group, [stage, *base, "--exp", str(tmp_path / "new")]).exit_code == 0
    for words in (
        ["--exp", str(tmp_path / "copy/exp"), "--allow-change"],
        ["--exp", str(tmp_path / "new"), "--set", f"init.exp={done / 'exp'}"],
    ):
        found = CliRunner().invoke(group, ["train", *base, "--set", "plan.steps=3", *words])
        said = str(found.exception)
        assert f"learnt the classes {', '.join(names)}, in this order" in said, found.output
        assert f"those of the packed data are {names[0]}, {names[0]}a, {names[1]}" in said


# the check --------------------------------------------------------------


def said(path: Path, *overrides: str) -> str:
    with pytest.raises(GansembleError) as caught:
        check.load(path, overrides)
    return str(caught.value)


def test_the_check_holds_signals_against_features(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(KINDS["sung"])
    assert check.load(path).notes == []
    text = said(path, "features=null")
    assert "generator (hnsf) reads a signal 'f0', but no feature of this recipe is called so" in text
    assert "features: none" in text and "fix: --set 'features.f0={use: f0}'" in text
    text = said(path, "features.f0=null", "features.pitch={use: f0}")
    assert "called so" in text and "features: pitch" in text
    text = said(path, "features.mel={use: energy}")
    assert "'mel' is the name of what the toolkit supplies itself; give the feature another name" in text
    (note,) = check.load(path, ["features.loud={use: energy}"]).notes
    assert "features.loud (energy) has nothing to do: generator (hnsf) reads no signal called 'loud'" in str(note)


def test_the_label_of_an_imitated_clip_needs_no_teacher(tmp_path):
    """What it means can be learnt of the clip itself."""
    path = tmp_path / "r.yaml"
    path.write_text(KINDS["spoken"])
    assert check.load(path).notes == []
    assert "is built for 7 classes, but corpus (fsdd) has 10" in said(path, "generator.classes=7")
