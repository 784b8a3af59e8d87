"""A trained generator called from Python: what it takes, what it refuses and how, and what becomes of its audio."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import gansemble
from gansemble.errors import CheckpointError, DataError, GansembleError
from gansemble.inference.given import MelScaleWarning
from gansemble.parts.build import generator
from gansemble.recipe import check
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
#: A voice-like spread of natural-log magnitudes, as the trained vocoder has heard them.
LEARNT = {"mean": -4.6, "deviation": 2.0}


@pytest.fixture(scope="module")
def exp(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("called") / "exp"
    store = checkpoint.Store(folder / "checkpoints", keep=9)
    begun = store.begin(3)
    (begun / "recipe.yaml").write_text(RECIPE)
    torch.manual_seed(0)
    state = generator(check.load(begun / "recipe.yaml")).state_dict()
    checkpoint.save_network(begun / "generator.safetensors", state)
    store.commit(begun, 3, {"mel": LEARNT}, set())
    return folder


@pytest.fixture(scope="module")
def vocoder(exp):
    return gansemble.load(str(exp), device="cpu")


@pytest.fixture(scope="module")
def mel() -> torch.Tensor:
    """[2, 20, 40] with the mean and deviation that the vocoder learnt from."""
    drawn = torch.randn(2, 20, 40, generator=torch.Generator().manual_seed(0))
    return (drawn - drawn.mean()) / drawn.std() * LEARNT["deviation"] + LEARNT["mean"]


def test_arrays_of_any_floating_point_numbers_are_as_good_as_tensors(vocoder, mel):
    made = vocoder(mel)
    assert made.shape == (2, 1, 40 * 64) and made.dtype == torch.float32
    assert torch.equal(vocoder(mel.numpy()), made)
    assert torch.equal(vocoder(mel.double().numpy().astype(">f8")), made)
    assert torch.equal(vocoder(np.asfortranarray(mel.numpy())[:, :, ::1]), made)
    assert vocoder(mel.numpy()[0]).shape == (1, 40 * 64)


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        (lambda mel: mel.tolist(), "mel: expected a torch tensor or a NumPy array, got a list; torch.tensor"),
        (lambda mel: "speech.wav", "mel: expected a torch tensor or a NumPy array, got a path; read its file first"),
        (lambda mel: None, "mel: expected a torch tensor or a NumPy array, got None"),
        (lambda mel: mel.int(), "mel: expected floating-point numbers, got int32$"),
        (lambda mel: mel > 0, "mel: expected floating-point numbers, got bool"),
        (lambda mel: mel.to(torch.complex64), "mel: expected floating-point numbers, got complex64"),
        (lambda mel: np.array(["a"]), "mel: expected an array of numbers, got one of <U1"),
        (lambda mel: mel[..., :0], r"mel: is empty, of shape \[2, 20, 0\]"),
        (lambda mel: mel / 0 * 0, "mel: holds NaN or Inf"),
        (lambda mel: mel.mT, r"got shape \[2, 40, 20\]; it is transposed: give mel.transpose\(-1, -2\)"),
        (lambda mel: mel[:, :13], r"got shape \[2, 13, 40\]; this vocoder was trained on 20 mel bands"),
        (lambda mel: mel[0, 0], r"expected a signal \[B, 20, L\], got shape \[40\]$"),
        (lambda mel: mel[None], r"expected a signal \[B, 20, L\], got shape \[1, 2, 20, 40\]$"),
    ],
)
def test_what_is_no_mel_spectrogram_of_its_bands_is_refused_in_one_sentence(vocoder, mel, spoilt, told):
    with pytest.raises(GansembleError, match=told):
        vocoder(spoilt(mel))


@pytest.mark.parametrize(
    ("scaled", "told"),
    [
        (lambda mel: mel / math.log(10), "look like base-10 logarithms: multiply them by 2.302585"),
        (lambda mel: mel * 20 / math.log(10), "look like decibels"),
        (lambda mel: (mel - 2).exp(), "look like magnitudes without a logarithm"),
        (lambda mel: (mel - mel.mean()) / mel.std(), "look normalised: undo that"),
    ],
)
def test_mels_of_another_scale_are_warned_of_at_the_callers_line(vocoder, mel, scaled, told):
    with pytest.warns(MelScaleWarning, match=told) as caught:
        made = vocoder(scaled(mel))
    assert made.shape == (2, 1, 40 * 64)
    assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name]


def test_natural_logarithms_are_not_warned_of(vocoder, mel):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vocoder(mel)


def test_a_file_is_read_as_what_the_vocoder_is_called_with(vocoder, tmp_path):
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    soundfile.write(tmp_path / "tone.wav", tone, 16000)
    read = vocoder.read(str(tmp_path / "tone.wav"))
    heard = torch.from_numpy(soundfile.read(tmp_path / "tone.wav", dtype="float32")[0])
    assert torch.equal(read, gansemble.log_mel(heard[None], vocoder.spec)) and read.shape == (1, 20, 250)
    soundfile.write(tmp_path / "fast.wav", np.repeat(tone, 2), 32000)
    with pytest.raises(DataError, match=r"fast.wav: expected 16000 Hz, got 32000 Hz; read\(path, resample=True\)"):
        vocoder.read(tmp_path / "fast.wav")
    assert vocoder.read(tmp_path / "fast.wav", resample=True).shape == (1, 20, 250)
    soundfile.write(tmp_path / "two.wav", np.stack([tone, tone], 1), 16000)
    with pytest.raises(DataError, match=r"two\.wav: expected mono, got 2 channels"):
        vocoder.read(tmp_path / "two.wav")
    data = vocoder.recipe.data
    treated = replace(vocoder, recipe=replace(vocoder.recipe, data=replace(data, channels="mix", rate="resample")))
    assert torch.equal(treated.read(tmp_path / "two.wav"), read), "as training treated its corpus"
    assert treated.read(tmp_path / "fast.wav").shape == (1, 20, 250)
    soundfile.write(tmp_path / "short.wav", tone[:50], 16000)
    with pytest.raises(DataError, match=r"short\.wav: "):
        vocoder.read(tmp_path / "short.wav")


def test_audio_is_saved_at_the_rate_it_was_made_for(vocoder, tmp_path):
    audio = torch.tensor([[[0.5, -0.25, 2.0]]])
    assert vocoder.save(tmp_path / "new" / "a.wav", audio, "float") == 1
    found, rate = soundfile.read(tmp_path / "new" / "a.wav")
    assert rate == 16000 and found.tolist() == [0.5, -0.25, 1.0]
    assert vocoder.save(str(tmp_path / "b.wav"), audio[0, 0].numpy() / 4) == 0
    assert soundfile.info(tmp_path / "b.wav").subtype == "PCM_16"


@pytest.mark.parametrize(
    ("name", "audio", "told"),
    [
        ("a.flac", torch.zeros(9), "expected a name that ends with .wav"),
        ("a.wav", torch.zeros(2, 1, 9), r"got shape \[2, 1, 9\]; a file holds one item of a batch: save audio\[0\]"),
        ("a.wav", [0.0], "audio: expected a torch tensor or a NumPy array, got a list"),
        ("a.wav", torch.zeros(9, dtype=torch.int16), "got int16; samples of 16-bit integers are divided by 32768"),
        ("file/a.wav", torch.zeros(9), "a.wav: cannot be written"),
    ],
)
def test_what_cannot_be_saved_is_told_and_leaves_nothing(vocoder, tmp_path, name, audio, told):
    (tmp_path / "file").touch()
    with pytest.raises(GansembleError, match=told):
        vocoder.save(tmp_path / name, audio)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"exp": None}, "exp=None: expected the path of an experiment's folder"),
        ({"which": "bst"}, "which='bst': expected 'best' or 'last'"),
        ({"device": "gpu"}, "device='gpu': is not here; there is: cpu"),
    ],
)
def test_what_cannot_be_loaded_is_told(exp, options, told):
    with pytest.raises(GansembleError, match=told):
        gansemble.load(**{"exp": exp} | options)


def test_a_file_and_a_folder_without_checkpoints_are_no_experiments(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(GansembleError, match="file: is a file; expected an experiment"):
        gansemble.load(tmp_path / "file")
    with pytest.raises(CheckpointError, match="expected an experiment with checkpoints, found none; train it first"):
        gansemble.load(tmp_path)


def test_its_name_at_a_prompt_is_one_line(vocoder, exp):
    assert repr(vocoder) == (
        f"TrainedGenerator('{exp}/checkpoints/step-00000003': vocos for vocoding, step 3, 16000 Hz, on cpu)"
    )


def test_what_is_read_besides_is_told_by_name(vocoder, mel):
    with pytest.raises(GansembleError, match="generator vocos reads mel, and no f0"):
        vocoder(mel, f0=mel[:, :1])
    with pytest.raises(GansembleError, match=r"f0: expected a torch tensor|reads mel, and no f0"):
        vocoder(mel, f0=[1.0])
