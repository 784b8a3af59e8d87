"""Training on signals in files: what generator and losses see, exact resume, processes and accumulation, stage 4, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

import gansemble
from gansemble.audio.features import log_mel
from gansemble.cli import group
from gansemble.errors import GansembleError
from gansemble.recipe import check
from gansemble.training.batches import batches, mel_statistics
from gansemble.training.components import Components, Options
from gansemble.training.schedule import TrainingSchedule
from gansemble.training.trainer import Trainer

AUDIO = "{sample_rate: 22050, n_fft: 256, hop: 64, window: 256, mels: 20, fmin: 0, fmax: null}"
RECIPE = f"""
name: forced
audio: {AUDIO}
corpus: {{use: teacher_forced, validation: 0.25}}
data: {{normalise: null, signals: {{codes: codes}}, embeddings: {{speaker: voices}}}}
generator: {{use: unit_hifigan, codebooks: 2, size: 40, dim: 4, speaker: 3, channels: 8, upsample_rates: [8, 8],
            upsample_kernels: [16, 16], kernels: [3], dilations: [[1]]}}
discriminators: {{mpd: {{use: multi_period, periods: [2, 3], channels: [3, 4]}}}}
objective: {{use: lsgan}}
losses: {{mel: {{use: mel_l1, weight: 45}}}}
metrics: {{mel_distance: {{use: mel_distance}}}}
plan: {{steps: 4, batch_size: 4, segment: 2048, log_every: 1, save_every: 2}}
validation: {{every: 2, clips: 2, audio: 0}}
synthesis: {{split: validation}}
optimisers: {{generator: {{use: adamw, lr: 1e-3}}, discriminators: {{use: adamw, lr: 1e-3}}}}
"""
MEL = RECIPE.replace(", signals: {codes: codes}, embeddings: {speaker: voices}", "").replace(
    "use: unit_hifigan, codebooks: 2, size: 40, dim: 4, speaker: 3", "use: hifigan"
)
KINDS = {"mel": MEL, "codes": RECIPE}


class Place:
    """A tiny corpus with mel spectrograms, codes and speakers' vectors in files, prepared."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder, self.recipe = folder, folder / "r.yaml"
        self.recipe.write_text(text)
        self.call("mini", self.recipe, "--output", folder / "data")
        for place in ("codes", "voices"):
            (folder / "data" / place).mkdir()
        for index, wav in enumerate(sorted((folder / "data" / "wavs").iterdir())):
            frames = soundfile.info(wav).frames // 64
            np.save(folder / "data" / "codes" / f"{wav.stem}.npy", np.arange(2 * frames).reshape(2, -1) % 40)
            np.save(folder / "data" / "voices" / f"{wav.stem}.npy", np.arange(3.0) + index)
        for stage in ("fetch", "prepare"):
            self.stage(stage, folder / "first")

    def call(self, *words: object) -> str:
        found = CliRunner().invoke(group, [str(word) for word in words])
        assert found.exit_code == 0, found.output + str(found.exception)
        return found.output

    def stage(self, stage: str, exp: Path, *words: object) -> str:
        places = ["--exp", exp, "--data", self.folder / "data", "--dump", self.folder / "dump"]
        return self.call(stage, self.recipe, *places, *words)

    def train(self, exp: Path, *sets: str, **options) -> Trainer:
        trainer = Trainer(
            Components.build(check.load(self.recipe, sets), exp, self.folder / "dump", Options(**options))
        )
        try:
            trainer.run()
        except GansembleError:
            assert options.get("stop_after")
        return trainer


@pytest.fixture(scope="module", params=KINDS)
def place(request, tmp_path_factory) -> Place:
    return Place(tmp_path_factory.mktemp(request.param), KINDS[request.param])


@pytest.fixture(scope="module")
def trained(place) -> Path:
    for stage in ("train", "synthesise"):
        place.stage(stage, place.folder / "exp")
    return place.folder / "exp"


def last(exp: Path) -> Path:
    return sorted((exp / "checkpoints").glob("step-*"))[-1]


def test_the_generator_reads_files_and_losses_hear_the_recording(place):
    run = Components.build(check.load(place.recipe), place.folder / "look", place.folder / "dump")
    ((batch,), *_) = list(batches(run, TrainingSchedule(run.plan, len(run.clips)), 0, 1))
    builder = run.parts.condition_builder
    _, condition = builder(builder.prepare(batch), "generator")
    if "codes" in condition.signals:
        assert condition.signal("codes").shape == (4, 2, 32) and condition.signal("speaker").shape == (4, 3, 32)
        codes = condition.signal("codes").long()
        assert ((codes[:, :, 1:] - codes[:, :, :-1]) % 40 == 1).all()
        assert torch.equal(condition.signal("speaker")[:, :, :1].expand(-1, -1, 32), condition.signal("speaker"))
        assert builder.mel is False and "mel" not in batch.signals
    else:
        real = log_mel(batch.audio, run.recipe.audio)
        given = condition.signal("mel")
        assert given.shape == real.shape and not torch.allclose(given, real)
        # The file is the recording's own spectrogram, smoothed over three frames.
        smooth = (real[:, :, :-2] + real[:, :, 1:-1] + real[:, :, 2:]) / 3
        inner = (given[:, :, 3:-3] - smooth[:, :, 2:-2]).abs().median()
        assert inner < 0.02
        batch.signals.clear()
        builder.mel = True  # as where a noise injector needs the spectrogram of the recording
        assert torch.equal(builder.prepare(batch).signals["mel"], real)
        assert torch.equal(builder(batch, "generator")[1].signal("mel"), given)


def test_a_stopped_run_goes_on_to_the_same_weights(place, trained, tmp_path):
    place.train(tmp_path, stop_after=2)
    place.train(tmp_path)
    for name in ("generator", "discriminators"):
        one, other = (load_file(last(exp) / f"{name}.safetensors") for exp in (trained, tmp_path))
        assert all(torch.equal(one[key], other[key]) for key in one) and one.keys() == other.keys()


def test_accumulated_micro_batches_are_one_batch(place, trained, tmp_path):
    place.train(tmp_path, "plan.accumulate=2")
    one, other = (load_file(last(exp) / "generator.safetensors") for exp in (trained, tmp_path))
    assert all(torch.allclose(one[key], other[key], atol=1e-5) for key in one)


def test_loader_processes_change_nothing(place, trained, tmp_path):
    place.train(tmp_path, "plan.workers=2")
    one, other = (load_file(last(exp) / "generator.safetensors") for exp in (trained, tmp_path))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.processes
def test_two_processes_are_one(place, trained, tmp_path):
    import os
    import subprocess
    import sys

    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "gansemble"]
    words = [place.recipe, "--exp", tmp_path, "--data", place.folder / "data", "--dump", place.folder / "dump"]
    done = subprocess.run(
        [*launch, "train", *map(str, words)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "GANSEMBLE_PROCESSES": "2"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert (last(tmp_path) / "generator.safetensors").is_file(), done.stdout + done.stderr
    one, other = (load_file(last(exp) / "generator.safetensors") for exp in (trained, tmp_path))
    assert last(tmp_path).name == last(trained).name
    assert all(torch.allclose(one[key], other[key], atol=1e-5) for key in one)


def test_stage_4_vocodes_the_files_as_the_command_line_does(place, trained, tmp_path):
    data = place.folder / "data"
    made = {path.stem: path for path in (trained / "samples" / "validation").glob("*.wav")}
    assert len(made) == 2
    for name, path in made.items():
        if "codes" in place.recipe.read_text():
            words = ["--input", data / "codes" / f"{name}.npy", "--signal", f"speaker={data / 'voices' / name}.npy"]
        else:
            words = ["--input", data / "mels" / f"{name}.npy"]
        place.call("synthesise", "--exp", trained, "--output", tmp_path, *words)
        ours, theirs = (soundfile.read(wav)[0] for wav in (path, tmp_path / f"{name}.wav"))
        np.testing.assert_allclose(ours, theirs[: len(ours)], atol=2 / 32768)
        assert np.abs(ours).max() > 0


def test_a_checkpoint_knows_the_scale_of_the_mels_it_learnt_from(place, trained, tmp_path):
    loaded = gansemble.load(trained, device="cpu")
    run = Components.build(check.load(place.recipe), tmp_path, place.folder / "dump")
    assert loaded.mel == mel_statistics(run)
    if loaded.mel is None:
        assert "codes" in place.recipe.read_text()
        return
    assert -9 < loaded.mel["mean"] < -3 and 1 < loaded.mel["deviation"] < 4
    mel = np.load(next((place.folder / "data" / "mels").iterdir()))
    np.save(tmp_path / "ten.npy", mel / np.log(10))
    words = ["synthesise", "--exp", trained, "--input", tmp_path / "ten.npy", "--output", tmp_path / "out"]
    found = CliRunner().invoke(group, [str(word) for word in words])
    assert found.exit_code != 0 and "look like base-10 logarithms: multiply them by 2.302585" in found.output


def test_python_is_called_with_codes_and_a_vector(place, trained):
    if "codes" not in place.recipe.read_text():
        pytest.skip("the generator reads a mel spectrogram")
    vocoder = gansemble.load(trained, device="cpu")
    assert vocoder.main_signal == "codes"
    (path, *_) = (trained / "samples" / "validation").glob("*.wav")
    codes, voice = (
        torch.from_numpy(np.load(place.folder / "data" / each / f"{path.stem}.npy")) for each in ("codes", "voices")
    )
    made = vocoder(codes.float(), speaker=voice.float()[:, None])[0].clamp(-1, 1)
    ours = soundfile.read(path, dtype="float32")[0]
    np.testing.assert_allclose(made.numpy()[: len(ours)], ours, atol=2 / 32768)
    with pytest.raises(GansembleError, match=r"expected a signal \[B, 2, L\], got shape \[1, 5\]"):
        vocoder(torch.zeros(1, 5), speaker=voice[:, None])
    with pytest.raises(GansembleError, match="speaker is missing"):
        vocoder(codes.float())


def test_codes_that_no_file_gives_are_asked_for(place, trained, tmp_path):
    if "codes" not in place.recipe.read_text():
        pytest.skip("the generator reads what is computed of audio")
    wav = next((place.folder / "data" / "wavs").iterdir())
    words = ["synthesise", "--exp", trained, "--input", wav, "--output", tmp_path / "out"]
    found = CliRunner().invoke(group, [str(word) for word in words])
    assert found.exit_code != 0
    assert "give a .npy file of codes as input, and the others with --signal" in f"{found.output}{found.exception}"
    assert not list(tmp_path.rglob("*.wav"))


def test_mels_are_written_as_the_corpus_expects_them(place, tmp_path):
    said = place.call("mels", place.recipe, "--input", place.folder / "data" / "wavs", "--output", tmp_path / "mels")
    assert said.count("frames") == 8
    before = {path.name: path.read_bytes() for path in (tmp_path / "mels").iterdir()}
    words = ["mels", place.recipe, "--input", place.folder / "data" / "wavs", "--output", tmp_path / "mels"]
    assert place.call(*words).count("is there already, made of the same input") == 8
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "mels").iterdir()}
    (tmp_path / "mels" / "mels-made.json").unlink()  # as if another system had made them
    before.pop("mels-made.json")
    found = CliRunner().invoke(group, [str(word) for word in words])
    assert found.exit_code != 0 and "8 of 8 outputs are there already" in str(found.exception)
    assert "nothing was written" in str(found.exception) and "--overwrite" in str(found.exception)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "mels").iterdir()}
    assert place.call(*words, "--overwrite").count("frames") == 8
    for wav in sorted((place.folder / "data" / "wavs").iterdir()):
        audio = torch.from_numpy(soundfile.read(wav, dtype="float32")[0])[None, None]
        mel = np.load(tmp_path / "mels" / f"{wav.stem}.npy")
        assert mel.dtype == np.float32 and mel.shape == (20, audio.shape[-1] // 64)
        np.testing.assert_array_equal(mel, log_mel(audio, check.load(place.recipe).audio)[0].numpy())
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "wavs").symlink_to(place.folder / "data" / "wavs")
    (tmp_path / "mels" / "mels.json").unlink()
    (tmp_path / "mels").rename(corpus / "mels")
    if "codes" not in place.recipe.read_text():
        words = ["--data", corpus, "--dump", tmp_path / "dump", "--exp", tmp_path / "exp"]
        assert "signal mel: 20 channels, 8 clips" in place.call("prepare", place.recipe, *words)
