"""The key ``prior`` of a generator: any that reads mel spectrograms reads the amplitude spectra that they imply instead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from torch import Tensor, nn

import gansemble
from gansemble.audio.features import log_amplitude_of_mel, log_mel, mel_basis
from gansemble.audio.spec import AudioSpec
from gansemble.contract import GeneratorContract
from gansemble.errors import PluginError
from gansemble.inference.streaming import vocoder_stream
from gansemble.inference.vocoding import synthesise_file
from gansemble.interfaces import Condition
from gansemble.parts.build import Waveform, generator
from gansemble.parts.prior import reads_prior
from gansemble.plugins import loading
from gansemble.plugins.registry import Entry
from gansemble.recipe import check
from gansemble.recipe.document import RecipeError
from gansemble.recipe.fill import dump, fill
from gansemble.testing.subject import Subject

PRIOR = "generator.prior=pseudo_inverse"
CORRECTED = "generator.amplitude=corrected"
SPEC = AudioSpec(n_fft=256, hop=64, window=256, mels=20, fmax=None)
BINS = 129
RATES = "upsample_rates: [8, 8], upsample_kernels: [16, 16], kernels: [3]"
READERS = {
    "vocos": "{use: vocos, dim: 12, hidden: 16, blocks: 1}",
    "hifigan": f"{{use: hifigan, channels: 8, {RATES}, dilations: [[1]]}}",
}
#: Every registered generator that reads mel spectrograms, and the frames that their examples are made for.
ALL_READERS = [
    entry
    for entry in loading.registry().entries("generator")
    if "mel" in (Subject(entry).stated(GeneratorContract).reads or ())
]
WIDER = ("audio.n_fft=1024", "audio.hop=256", "audio.window=1024", "audio.fmax=8000")
THEIRS = """
from torch import nn
from gansemble import hookimpl
from gansemble.contract import GeneratorContract

@hookimpl
def gansemble_register(register):
    register("generator", "theirs", f"{__name__}:Theirs", "a convolution to a hop of samples")

class Theirs(nn.Module):
    context_frames = 1

    @staticmethod
    def contract(parameters):
        channels = {"mel": parameters["audio"].mels}
        return GeneratorContract(reads=frozenset({"mel"}), channels=channels, domain="waveform", shape=(1, None))

    def __init__(self, *, audio):
        super().__init__()
        self.conv = nn.Conv1d(audio.mels, audio.hop, 3, padding=1)

    def forward(self, condition):
        return self.conv(condition.signal("mel")).tanh().transpose(1, 2).flatten(1)[:, None]
"""


def recipe(folder: Path, text: str, *sets: str):
    (folder / "r.yaml").write_text(
        "audio: {n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}\ncorpus: {use: folder}\n"
        "losses: {mel: {use: mel_l1}}\nvalidation: {metrics: []}\noptimisers: {generator: {use: adamw}}\n"
        f"generator: {text}\n" + ("features: {f0: {use: f0}}\n" if "hnsf" in text else "")
    )
    return check.load(folder / "r.yaml", sets)


def mel(frames: int, seed: int = 0) -> Tensor:
    return torch.randn(1, 20, frames, generator=torch.Generator().manual_seed(seed)) - 4


def signals(frames: int) -> dict[str, Tensor]:
    return {"mel": mel(frames), "f0": torch.full((1, 1, frames), 200.0)}


# the estimate -----------------------------------------------------------


@pytest.mark.parametrize(
    "spec", [SPEC, AudioSpec(), AudioSpec(sample_rate=16000, n_fft=512, window=400, mels=40, fmin=55, fmax=7600)]
)
def test_it_is_the_pseudo_inverse_of_the_filters_by_numpy(spec):
    given = torch.randn(2, spec.mels, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 3
    basis = mel_basis(spec, torch.device("cpu"), torch.float64).numpy()
    wanted = np.log(np.maximum(np.abs(np.linalg.pinv(basis) @ np.exp(given.numpy())), 1e-5))
    assert log_amplitude_of_mel(given, spec).shape == (2, spec.n_fft // 2 + 1, 5)
    np.testing.assert_allclose(log_amplitude_of_mel(given, spec).numpy(), wanted, atol=1e-6)


def test_a_spectrum_that_the_filters_can_tell_comes_back():
    """One in the span of the filters, which the least-squares estimate finds again."""
    basis = mel_basis(SPEC, torch.device("cpu"), torch.float64)
    spectrum = basis.T @ (1 + torch.rand(20, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    estimate = log_amplitude_of_mel((basis @ spectrum).log()[None], SPEC)[0]
    torch.testing.assert_close(estimate, spectrum.clamp_min(1e-5).log(), atol=1e-6, rtol=0)


def test_where_no_filter_reaches_it_is_the_floor():
    spec = AudioSpec(sample_rate=22050, fmax=8000)
    made = log_amplitude_of_mel(torch.zeros(1, 80, 3), spec)
    above = torch.arange(513) * 22050 / 1024 > 8000
    assert (made[:, above] == np.float32(np.log(1e-5))).all() and (made[:, ~above][:, 1:] > -11).all()


def test_half_precision_around_it_changes_nothing():
    with torch.autocast("cpu", torch.bfloat16):
        there = log_amplitude_of_mel(mel(4), SPEC)
    torch.testing.assert_close(there, log_amplitude_of_mel(mel(4), SPEC), atol=0, rtol=0)


# any generator ----------------------------------------------------------


@pytest.mark.parametrize("entry", ALL_READERS, ids=lambda entry: entry.name)
def test_every_registered_reader_of_mels_reads_the_amplitude_spectrum(entry, tmp_path):
    """It makes of the mel spectrogram what the same network without a prior makes of the estimate."""
    text = yaml.safe_dump({"use": entry.name, **entry.example}, default_flow_style=True, width=1000).strip()
    audio = AudioSpec(mels=20)
    network = generator(recipe(tmp_path, text, PRIOR, *WIDER)).eval()
    bare = generator(recipe(tmp_path, text, *WIDER, "audio.mels=513")).eval()
    bare.load_state_dict(network.state_dict())
    given = signals(9)
    with torch.no_grad():
        made = network(Condition(signals=given))
        wanted = bare(Condition(signals=given | {"mel": log_amplitude_of_mel(given["mel"], audio)}))
    assert made.shape == (1, 1, 9 * 256) and torch.equal(made, wanted)
    assert torch.equal(given["mel"], mel(9)), "what it is given is left alone"


def test_a_generator_of_another_plugin_needs_no_change(tmp_path, monkeypatch):
    monkeypatch.setenv(loading.FILES, "")  # so that what is added is gone after the test
    (tmp_path / "their_generator.py").write_text(THEIRS)
    loading.add_files((tmp_path / "their_generator.py",))
    read = recipe(tmp_path, "{use: theirs}", PRIOR)
    network = generator(read)
    assert network.conv.in_channels == BINS and network(Condition(signals=signals(3))).shape == (1, 1, 192)
    assert read.generator_contract.channels == {"mel": BINS} and read.channels() == {"mel": 20}, "files hold mels still"
    assert recipe(tmp_path, "{use: theirs}").channels() == {"mel": 20}


@pytest.mark.parametrize("name", ["vocos", "hifigan"])
def test_made_in_pieces_it_is_the_whole(name, tmp_path):
    network = generator(recipe(tmp_path, READERS[name], PRIOR)).eval()
    with torch.no_grad():
        whole = network(Condition(signals={"mel": mel(90)}))[0]
    made = vocoder_stream(network, Waveform(), 7, {"mel": 20}).whole(mel(90)[0])
    torch.testing.assert_close(made, whole, atol=1e-6, rtol=0)


def test_labels_and_latents_pass_the_hook():
    class Keeps(nn.Module):
        def forward(self, condition: Condition) -> Condition:
            return condition

    latent, label = torch.ones(1, 3), torch.tensor([2])
    seen = reads_prior(Keeps(), SPEC)(Condition(latent, label, signals(2)))
    assert seen.latent is latent and seen.label is label
    assert seen.signal("mel").shape == (1, BINS, 2) and seen.signal("f0").shape == (1, 1, 2)


# a run ------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(workshop, tmp_path_factory) -> Path:
    """The tiny recipe with a prior that is corrected, its noise shaped by the same mel spectrograms."""
    exp = tmp_path_factory.mktemp("prior")
    workshop.train(
        exp, PRIOR, CORRECTED, "plan.steps=4", "plan.save_every=2", "plan.accumulate=1", "validation.every=2"
    )
    return exp


def test_a_trained_one_reads_mel_files_and_audio_alike(trained, workshop, tmp_path):
    vocoder = gansemble.load(trained, device="cpu")
    source = sorted((workshop.folder / "corpus").glob("*.wav"))[0]
    audio, _ = soundfile.read(source, dtype="float32")
    spectrogram = log_mel(torch.from_numpy(audio)[None, None], vocoder.spec)
    assert spectrogram.shape[1] == 20
    np.save(tmp_path / "a.npy", spectrogram[0].numpy())
    made = {}
    for kind, path, seconds in (("audio", source, 10.0), ("mel", tmp_path / "a.npy", 10.0), ("chunks", source, 0.0)):
        synthesise_file(vocoder, path, tmp_path / f"{kind}.wav", "float", seconds)
        made[kind], _ = soundfile.read(tmp_path / f"{kind}.wav", dtype="float32")
    whole = vocoder(spectrogram)[0, 0].clamp(-1, 1).numpy()
    for kind, found in made.items():
        np.testing.assert_allclose(found, whole, atol=1e-5, err_msg=kind)


def test_a_run_that_goes_on_ends_like_one_that_was_not_stopped(trained, workshop, tmp_path, tools):
    sets = (PRIOR, CORRECTED, "plan.steps=4", "plan.save_every=2", "plan.accumulate=1", "validation.every=2")
    workshop.train(tmp_path, *sets, stop_after=2)
    workshop.train(tmp_path, *sets)
    last = [sorted((exp / "checkpoints").glob("step-*"))[-1] for exp in (trained, tmp_path)]
    assert tools.differences(*map(tools.contents, last)) == []


# the recipe -------------------------------------------------------------


def test_a_filled_recipe_holds_the_prior_and_without_one_is_what_it_was(tmp_path):
    filled = fill(recipe(tmp_path, READERS["vocos"], PRIOR))
    assert filled["generator"]["prior"] == "pseudo_inverse"
    (tmp_path / "back.yaml").write_text(dump(filled))
    assert fill(check.load(tmp_path / "back.yaml")) == filled
    assert "prior" not in fill(recipe(tmp_path, READERS["vocos"], "generator.prior=null"))["generator"]


@pytest.mark.parametrize("value", ["inverse", "true", "[pseudo_inverse]", "1"])
def test_another_prior_is_refused(tmp_path, value):
    with pytest.raises(RecipeError, match=r"generator\.prior: expected pseudo_inverse, .*, got "):
        recipe(tmp_path, READERS["vocos"], f"generator.prior={value}")


def test_a_generator_without_mel_spectrograms_has_no_prior(tmp_path):
    with pytest.raises(
        RecipeError, match=r"pseudo_inverse stands in for the mel spectrogram, and .* reads none"
    ) as told:
        recipe(tmp_path, "{use: wavegan, dim: 2}", PRIOR, "losses=null", "objective={use: lsgan}",
               "discriminators={d: {use: wavegan, dim: 2}}", "optimisers.discriminators={use: adamw}", "plan.segment=16384")  # fmt: skip
    assert "generator.prior=null" in str(told.value)


def test_no_generator_may_take_a_prior_of_its_own():
    with pytest.raises(PluginError, match="parameter 'prior' is reserved by the recipe"):
        Entry("generator", "mine", f"{__name__}:OwnPrior", "", "mine").load()


class OwnPrior(nn.Module):
    def __init__(self, *, prior: str = "") -> None: ...

    def forward(self, condition: Condition) -> Tensor: ...


def test_vocos_corrects_a_spectrum_only(tmp_path):
    with pytest.raises(RecipeError, match=r"which has 129 channels, and it reads 20 mel bands; set generator\.prior="):
        recipe(tmp_path, READERS["vocos"], CORRECTED)


def test_vocos_that_has_not_learnt_to_correct_has_the_amplitudes_of_the_prior(tmp_path):
    """Before training the spectrum is the estimate itself, at phase zero: one frame is its inverse transform."""
    network = generator(recipe(tmp_path, READERS["vocos"], PRIOR, CORRECTED))
    frame = torch.fft.irfft(log_amplitude_of_mel(mel(1), SPEC).exp()[0, :, 0], 256)
    window = torch.hann_window(256)
    wanted = (frame * window)[96:160] / window.square()[96:160]
    with torch.no_grad():
        torch.testing.assert_close(network(Condition(signals={"mel": mel(1)}))[0, 0], wanted, atol=1e-6, rtol=1e-4)
