"""Copy-synthesis: chunks equal the whole, memory stays bounded, and unusable inputs are refused with a reason."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from torch import nn

from gansemble import cli
from gansemble.audio import files
from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.contract import GeneratorContract
from gansemble.data import mel_scale
from gansemble.errors import CheckpointError, DataError, GansembleError
from gansemble.inference import loading, vocoding
from gansemble.inference.loading import TrainedGenerator, fold
from gansemble.inference.streaming import ChunkedStream, vocoder_stream
from gansemble.inference.vocoding import signal_blocks, synthesise_file
from gansemble.interfaces import Condition
from gansemble.parts.build import Waveform
from gansemble.parts.build import generator as built
from gansemble.parts.conditioning import ConditionBuilder
from gansemble.recipe import check, fill
from gansemble.recipe.sections import Data
from gansemble.recipe.task import Task
from gansemble.training import checkpoint
from gansemble_plugins.hifigan.generator import HifiGan
from gansemble_plugins.vocos.generator import Vocos

torch.set_num_threads(1)
SPEC = AudioSpec(sample_rate=16000, n_fft=256, hop=64, window=256, mels=20, fmax=None)
RECIPE = """
name: tiny
audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}
corpus: {use: folder}
generator: {use: vocos, dim: 8, hidden: 16, blocks: 1}
losses: {mel: {use: mel_l1}}
metrics: {mel_distance: {use: mel_distance}}
plan: {steps: 2, batch_size: 2, segment: 1024}
optimisers: {generator: {use: adamw}}
"""


def loud(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights that keep the variance, so that the waveform is not tiny."""
    draw = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d | nn.Linear):
            fan_in = module.weight[0].numel() / (module.stride[0] if isinstance(module, nn.ConvTranspose1d) else 1)
            with torch.no_grad():
                weight = torch.randn(module.weight.shape, generator=draw) / fan_in**0.5
                module.weight = weight if hasattr(module, "parametrizations") else nn.Parameter(weight)
                module.bias.copy_(0.1 * torch.randn(module.bias.shape, generator=draw))
    return network.eval().requires_grad_(False)


def hifigan() -> nn.Module:
    return loud(
        HifiGan(
            audio=SPEC,
            channels=16,
            upsample_rates=(8, 8),
            upsample_kernels=(16, 16),
            kernels=(3, 5),
            dilations=((1, 3), (1, 3)),
        )
    )


def vocos() -> nn.Module:
    return loud(Vocos(audio=SPEC, dim=16, hidden=32, blocks=2))


NETWORKS = {"hifigan": hifigan, "vocos": vocos}


def loaded(network: nn.Module) -> TrainedGenerator:
    recipe = SimpleNamespace(
        audio=SPEC,
        task=Task.VOCODING,
        generator_contract=GeneratorContract(reads=frozenset({"mel"})),
        single={"generator": SimpleNamespace(use="here")},
        many={"features": {}},
        parts=list,
        supplied=dict,
        data=Data(),
        given=frozenset,
    )
    return TrainedGenerator(network, Waveform(), recipe, 0, Path())


def stream(network: nn.Module, chunk: int) -> ChunkedStream:
    return vocoder_stream(network, Waveform(), chunk, {"mel": SPEC.mels})


def whole(network: nn.Module, mel: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        wave = network(Condition(signals={"mel": mel[None]}))[0]
    assert wave.std() > 0.05, "a tiny output would hide differences"
    return wave


def noise(samples: int, seed: int = 0) -> np.ndarray:
    """Noise whose level changes, so that every frame is another."""
    draw = np.random.default_rng(seed)
    return (0.3 * draw.standard_normal(samples) * np.abs(np.sin(np.arange(samples) / 700))).astype(np.float32)


def wav(path: Path, samples: int, rate: int = 16000, channels: int = 1) -> Path:
    audio = np.clip(noise(samples), -1, 1)
    soundfile.write(str(path), audio if channels == 1 else np.stack([audio] * channels, 1), rate, subtype="FLOAT")
    return path


class Spy(nn.Module):
    """A generator that notes how many frames it is given at a time."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.frames = inner, []
        self.context_frames = inner.context_frames

    def forward(self, condition: Condition) -> torch.Tensor:
        self.frames.append(condition.signal("mel").shape[-1])
        return self.inner(condition)


# chunks -----------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("frames, chunk", [(100, 17), (101, 100), (64, 64), (97, 1), (33, 32), (5, 2), (1, 1)])
def test_chunks_joined_are_the_whole(name, frames, chunk):
    network = NETWORKS[name]()
    mel = torch.randn(20, frames, generator=torch.Generator().manual_seed(frames))
    pieces = list(stream(network, chunk).pieces(iter([mel])))
    assert len(pieces) == -(-frames // chunk)
    torch.testing.assert_close(torch.cat(pieces, 1), whole(network, mel), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    "blocks", [[100], [17] * 6, [1] * 40, [3, 90, 1, 1], [50, 1], [1, 50], [2, 2]], ids=lambda b: f"{len(b)}_blocks"
)
def test_a_stream_of_blocks_is_made_into_the_whole(name, blocks):
    network = NETWORKS[name]()
    mel = torch.randn(20, sum(blocks), generator=torch.Generator().manual_seed(7))
    made = torch.cat(list(stream(network, max(blocks)).pieces(iter(mel.split(blocks, 1)))), 1)
    torch.testing.assert_close(made, whole(network, mel), atol=1e-5, rtol=0)


def test_a_generator_without_context_makes_the_whole_at_once():
    network = hifigan()
    spy = Spy(network)
    spy.context_frames = None
    mel = torch.randn(20, 50, generator=torch.Generator().manual_seed(0))
    for pieces in (stream(spy, 8).pieces(iter([mel])), stream(spy, 8).pieces(iter(mel.split(8, 1)))):
        torch.testing.assert_close(torch.cat(list(pieces), 1), whole(network, mel), atol=1e-6, rtol=0)
    assert spy.frames == [50, 50]


@pytest.mark.parametrize("name", NETWORKS)
def test_no_more_frames_are_held_than_a_chunk_and_two_contexts(name):
    spy = Spy(NETWORKS[name]())
    chunk, context = 16, spy.context_frames
    mel = torch.randn(20, 400, generator=torch.Generator().manual_seed(0))
    list(stream(spy, chunk).pieces(iter(mel.split(chunk, 1))))
    assert 1 < len(spy.frames) <= -(-400 // chunk) + 1
    assert max(spy.frames) <= chunk + 2 * context
    spy.frames.clear()
    stream(spy, chunk).whole(mel)
    assert max(spy.frames) <= chunk + 2 * context


# blocks -----------------------------------------------------------------


def mel_blocks(path: Path, block: int, resample: bool = False) -> Iterator[torch.Tensor]:
    """The log-mel spectrogram of a file in blocks."""
    builder = ConditionBuilder(loaded(nn.Identity()).recipe)
    return (signals["mel"] for signals in signal_blocks(path, builder, block, resample))


@pytest.mark.parametrize("samples", [97, 128, 6400, 6399, 6463, 10001])
@pytest.mark.parametrize("block", [1, 7, 50, 1000])
def test_blocks_of_a_files_mel_are_the_mel_of_the_whole_file(tmp_path, samples, block):
    path = wav(tmp_path / "a.wav", samples)
    audio = torch.from_numpy(files.read(path)[0])
    blocks = list(mel_blocks(path, block))
    expected = log_mel(audio, SPEC)[0]
    assert [b.shape[1] for b in blocks[:-1]] == [block] * (len(blocks) - 1)
    torch.testing.assert_close(torch.cat(blocks, 1), expected, atol=1e-5, rtol=0)


def test_a_file_is_read_a_block_at_a_time(tmp_path, monkeypatch):
    """What is kept in memory does not grow with the file."""
    path, kept = wav(tmp_path / "a.wav", 64 * 5000), []
    fill = vocoding._Window.fill

    def watched(window: vocoding._Window, begin: int, end: int) -> bool:
        ended = fill(window, begin, end)
        kept.append(len(window.samples))
        return ended

    monkeypatch.setattr(vocoding._Window, "fill", watched)
    monkeypatch.setattr(vocoding, "READ", 1000)
    list(mel_blocks(path, 20))
    assert len(kept) == 251
    assert all(0 < samples <= 64 * (20 + 2 * 5) + 1000 for samples in kept[:-1])


def test_inputs_that_cannot_be_framed_are_refused(tmp_path):
    with pytest.raises(DataError, match="expected mono, got 2 channels"):
        next(mel_blocks(wav(tmp_path / "two.wav", 6400, channels=2), 10))
    builder = ConditionBuilder(loaded(nn.Identity()).recipe)
    first = torch.cat([each["mel"] for each in signal_blocks(tmp_path / "two.wav", builder, 10, channels="first")], 1)
    audio = torch.from_numpy(files.read(tmp_path / "two.wav")[0][:1])
    torch.testing.assert_close(first, log_mel(audio, SPEC)[0], atol=1e-5, rtol=0)
    with pytest.raises(DataError, match=r"96 samples are too few; at least 97"):
        next(mel_blocks(wav(tmp_path / "short.wav", 96), 10))
    with pytest.raises(DataError, match="no such file"):
        next(mel_blocks(tmp_path / "gone.wav", 10))
    other = wav(tmp_path / "other.wav", 12800, rate=32000)
    with pytest.raises(DataError, match="expected 16000 Hz, got 32000 Hz; resample it, or pass --resample"):
        next(mel_blocks(other, 10))
    resampled = torch.cat(list(mel_blocks(other, 10, resample=True)), 1)
    audio = files.resample(files.read(other)[0], 32000, 16000)
    torch.testing.assert_close(resampled, log_mel(torch.from_numpy(audio), SPEC)[0], atol=1e-5, rtol=0)


# files ------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("samples", [6400, 6463, 64 * 33 + 1])
@pytest.mark.parametrize("kind", ["wav", "npy"])
def test_a_file_made_in_chunks_is_the_whole(tmp_path, name, samples, kind):
    network = NETWORKS[name]()
    source = wav(tmp_path / "a.wav", samples)
    mel = log_mel(torch.from_numpy(files.read(source)[0]), SPEC)[0]
    if kind == "npy":
        source = tmp_path / "a.npy"
        np.save(source, mel.numpy())
    facts = synthesise_file(loaded(network), source, tmp_path / "out/a.wav", "float", 0.0)  # 16 frames at a time
    made, rate = files.read(tmp_path / "out/a.wav")
    expected = whole(network, mel)
    assert rate == 16000 and facts["seconds"] == samples // 64 * 64 / 16000
    torch.testing.assert_close(torch.from_numpy(made), expected.clamp(-1, 1), atol=1e-5, rtol=0)
    assert facts["clipped"] == (expected.abs() > 1).sum()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.wav"], "nothing temporary is left"


@pytest.mark.parametrize("sample_format, subtype", [("pcm16", "PCM_16"), ("pcm24", "PCM_24"), ("float", "FLOAT")])
def test_each_sample_format_is_written_clipped_never_wrapped(tmp_path, sample_format, subtype):
    class Ramps(nn.Module):
        context_frames = 0

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, condition):
            ramp = torch.linspace(-1.5, 1.5, 64).repeat(condition.signal("mel").shape[-1])
            return ramp[None, None]

    source = wav(tmp_path / "a.wav", 6400)
    facts = synthesise_file(loaded(Ramps()), source, tmp_path / "b.wav", sample_format, 0.0)
    assert files.info(tmp_path / "b.wav").subtype == subtype
    made = files.read(tmp_path / "b.wav")[0][0]
    expected = np.clip(np.tile(np.linspace(-1.5, 1.5, 64), 100), -1, 1)
    np.testing.assert_allclose(made, expected, atol=2**-14)
    assert facts["clipped"] == 100 * int((np.abs(np.linspace(-1.5, 1.5, 64)) > 1).sum())


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros((19, 50), np.float32), r"with 20 mels, got shape \(19, 50\)"),
        (np.zeros((50, 20), np.float32), r"\[mels, frames\] with 20 mels, got shape \(50, 20\)"),
        (np.zeros((2, 20, 50), np.float32), r"got shape \(2, 20, 50\)"),
        (np.zeros(20, np.float32), r"got shape \(20,\)"),
        (np.full((20, 50), np.nan, np.float32), "NaN or Inf"),
        (np.full((20, 50), -np.inf, np.float32), "NaN or Inf"),
        (np.full((20, 50), 80.0, np.float32), "not natural-log magnitudes"),
        (np.full((20, 50), -100.0, np.float32), "whose floor here is -11.513"),
        (np.array([["a"] * 50] * 20, dtype=object), "not readable as a .npy array"),
        (np.zeros((20, 0), np.float32), "frames"),
        (np.array([["a"] * 50] * 20), "numbers"),
    ],
    ids=["mels", "transposed", "batch", "vector", "nan", "inf", "decibels", "decibels_down", "object", "empty", "text"],
)
def test_arrays_that_are_no_log_mels_are_refused(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=message):
        synthesise_file(loaded(vocos()), tmp_path / "a.npy", tmp_path / "a.wav", "pcm16", 1.0)
    assert not (tmp_path / "a.wav").exists()


def test_a_log_mel_with_a_leading_batch_of_one_and_float64_is_taken(tmp_path):
    network = vocos()
    mel = np.random.default_rng(0).standard_normal((1, 20, 40)) - 3
    np.save(tmp_path / "a.npy", mel)
    synthesise_file(loaded(network), tmp_path / "a.npy", tmp_path / "a.wav", "float", 0.0)
    made = torch.from_numpy(files.read(tmp_path / "a.wav")[0])
    torch.testing.assert_close(made, whole(network, torch.from_numpy(mel[0]).float()).clamp(-1, 1), atol=1e-5, rtol=0)


def test_a_failure_in_the_middle_of_a_file_leaves_an_older_output_alone(tmp_path):
    audio = noise(16000)
    audio[12000] = np.nan
    soundfile.write(str(tmp_path / "a.wav"), audio, 16000, subtype="FLOAT")
    (tmp_path / "b.wav").write_text("older")
    with pytest.raises(DataError, match="first at sample 12000"):
        synthesise_file(loaded(vocos()), tmp_path / "a.wav", tmp_path / "b.wav", "pcm16", 0.0)
    assert (tmp_path / "b.wav").read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "b.wav"]


# experiments ------------------------------------------------------------


@pytest.fixture
def experiment(tmp_path):
    """An experiment with one checkpoint, as training leaves it."""
    return make_experiment(tmp_path / "exp")


def make_experiment(
    exp: Path, text: str = RECIPE, step: int = 2, best: tuple[str, ...] = (), average: bool = False
) -> Path:
    exp.mkdir(parents=True, exist_ok=True)
    (exp / "recipe.yaml").write_text(text)
    recipe = check.load(exp / "recipe.yaml")
    store = checkpoint.Store(exp / "checkpoints")
    folder = store.begin(step)
    checkpoint.save_network(folder / "generator.safetensors", loud(built(recipe), seed=step).state_dict())
    if average:
        checkpoint.save_network(folder / "ema.safetensors", loud(built(recipe), seed=100 + step).state_dict())
    (folder / "recipe.yaml").write_text(fill.dump(fill.fill(recipe)))
    store.commit(folder, step, {"best": {name: 0.5 for name in best}}, set(best))
    return exp


def weights(seed: int) -> torch.Tensor:
    return loud(Vocos(audio=SPEC, dim=8, hidden=16, blocks=1), seed).head.weight


def test_an_experiment_is_loaded_folded_and_without_gradients(tmp_path):
    text = RECIPE.replace(
        "{use: vocos, dim: 8, hidden: 16, blocks: 1}",
        "{use: hifigan, channels: 8, upsample_rates: [8, 8], upsample_kernels: [16, 16], kernels: [3], "
        "dilations: [[1]]}",
    )
    network = loading.load(make_experiment(tmp_path / "exp", text)).generator
    assert not network.training
    assert not any("parametrizations" in name for name in network.state_dict())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_the_best_checkpoint_the_last_and_the_average_are_told_apart(tmp_path):
    exp = make_experiment(tmp_path / "exp", step=1)
    make_experiment(exp, step=2, best=("step-00000001",))
    assert (loading.load(exp).step, loading.load(exp, "last").step) == (1, 2)
    assert torch.equal(loading.load(exp).generator.head.weight, weights(1))
    make_experiment(exp, step=3, average=True)
    assert torch.equal(loading.load(exp, "last").generator.head.weight, weights(103))


def test_an_experiment_without_checkpoints_is_told(tmp_path):
    with pytest.raises(CheckpointError, match="expected an experiment with checkpoints, found none"):
        loading.load(tmp_path)


def test_folding_a_network_without_weight_norm_changes_nothing():
    network = vocos()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    after = fold(network).state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def command(*arguments: object):
    return CliRunner().invoke(cli.group, ["synthesise", *map(str, arguments)])


def test_bf16_is_for_files_alone_and_makes_nearly_the_same(experiment, tmp_path):
    np.save(tmp_path / "a.npy", np.full((20, 30), -5, np.float32))
    words = ("--exp", experiment, "--input", tmp_path / "a.npy", "--format", "float", "--output")
    made = []
    for precision in ("float32", "bf16"):
        assert command(*words, tmp_path / precision, "--precision", precision).exit_code == 0
        made.append(soundfile.read(tmp_path / precision / "a.wav")[0])
    assert 0 < np.abs(made[1] - made[0]).max() < 0.05 * np.abs(made[0]).max()
    refused = command(tmp_path / "recipe.yaml", "--precision", "bf16")
    assert refused.exit_code == 2 and "--precision" in refused.output


def test_the_command_makes_a_waveform_of_each_input(experiment, tmp_path):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    wav(folder / "a.wav", 6400)
    wav(folder / "sub/b.wav", 3201)
    np.save(folder / "c.npy", np.full((20, 30), -5, np.float32))
    done = command("--exp", experiment, "--input", folder, "--output", tmp_path / "out", "--format", "float")
    assert done.exit_code == 0, done.output
    lengths = {str(p.relative_to(tmp_path / "out")): files.info(p).frames for p in (tmp_path / "out").rglob("*.wav")}
    assert lengths == {"a.wav": 6400, "sub/b.wav": 3200, "c.wav": 30 * 64}
    facts = json.loads((tmp_path / "out/synthesis.json").read_text())
    assert set(facts) == set(lengths) and facts["a.wav"]["step"] == 2 and facts["a.wav"]["seconds"] == 0.4
    network = loading.load(experiment).generator
    mel = log_mel(torch.from_numpy(files.read(folder / "a.wav")[0]), SPEC)[0]
    made = torch.from_numpy(files.read(tmp_path / "out/a.wav")[0])
    torch.testing.assert_close(made, whole(network, mel).clamp(-1, 1), atol=1e-5, rtol=0)


def test_the_command_goes_on_after_an_unusable_input_and_fails_at_the_end(experiment, tmp_path):
    wav(tmp_path / "good.wav", 6400)
    wav(tmp_path / "rate.wav", 6400, rate=8000)
    arguments = ["--exp", experiment, "--output", tmp_path / "out"]
    arguments += ["--input", tmp_path / "rate.wav", "--input", tmp_path / "good.wav"]
    done = command(*arguments)
    assert isinstance(done.exception, GansembleError)
    assert "1 of 2 waveforms could not be made" in str(done.exception)
    assert "expected 16000 Hz, got 8000 Hz" in done.output
    assert (tmp_path / "out/good.wav").is_file() and not (tmp_path / "out/rate.wav").exists()
    assert command(*arguments, "--resample").exit_code == 0
    assert files.info(tmp_path / "out/rate.wav").frames == 12800


def test_a_command_whose_every_input_failed_ends_with_a_sentence(experiment, tmp_path):
    """The folder of outputs was made all the same, so that noting what was done there does not fail."""
    (tmp_path / "text.wav").write_text("no audio")
    done = command("--exp", experiment, "--output", tmp_path / "out", "--input", tmp_path / "text.wav")
    assert isinstance(done.exception, GansembleError), repr(done.exception)


def test_two_inputs_of_one_name_do_not_overwrite_each_other(experiment, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    first, second = wav(tmp_path / "x/a.wav", 6400), wav(tmp_path / "y/a.wav", 3200)
    done = command("--exp", experiment, "--output", tmp_path / "out", "--input", first, "--input", second)
    made = sorted(files.info(path).frames for path in (tmp_path / "out").rglob("*.wav"))
    assert made == [3200, 6400] or isinstance(done.exception, GansembleError), "one was lost without a word"


def test_the_command_does_not_overwrite_its_input(experiment, tmp_path):
    source = wav(tmp_path / "a.wav", 6400)
    before = source.read_bytes()
    done = command("--exp", experiment, "--output", tmp_path, "--input", source)
    assert isinstance(done.exception, GansembleError) and "would overwrite its input" in str(done.exception)
    assert source.read_bytes() == before


def test_the_command_says_what_is_missing(experiment, tmp_path):
    assert command("--exp", experiment, "--input", tmp_path / "gone.wav", "--output", tmp_path / "o").exit_code != 0
    done = command("--input", wav(tmp_path / "a.wav", 6400))
    assert done.exit_code == 2 and "--input needs --exp and --output" in done.output
    done = command()
    assert done.exit_code == 2 and "expected RECIPE" in done.output


def test_short_spectrograms_of_another_scale_are_told_together_before_the_first_is_made(tmp_path):
    """Ten frames alone tell too little; four such files have forty."""
    drawn = np.random.default_rng(0)
    ours = [drawn.normal(-6.0, 2.0, (SPEC.mels, 10)).clip(-11, 2).astype(np.float32) for _ in range(4)]
    statistics = mel_scale.statistics(ours)
    judged: Any = SimpleNamespace(spec=SPEC, main_signal="mel", mel=statistics)
    right, wrong = [], []
    for number, mel in enumerate(ours):
        for paths, factor in ((right, 1.0), (wrong, 1 / np.log(10))):
            paths.append(tmp_path / f"{number}-{factor:.1f}.npy")
            np.save(paths[-1], (mel * factor).astype(np.float32))
    assert all(mel_scale.foreign(np.load(path), SPEC, statistics) is None for path in wrong)
    with pytest.raises(GansembleError, match=r"0-0\.4\.npy and 3 other spectrograms: .*multiply them by 2\.302585"):
        vocoding.demand_scale(judged, wrong)
    vocoding.demand_scale(judged, right)
    vocoding.demand_scale(judged, [tmp_path / "gone.npy", tmp_path / "a.wav"])
