"""Published Vocos weights, imported: samples and features beside numbers of the released code, and what is refused."""

from __future__ import annotations

import copy
import sys

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

import gansemble
from gansemble.audio import torchaudio  # noqa: F401  # before vocos, which would fail to load the wheel's compiled part
from gansemble.audio.features import hann, log_mel, mel_basis
from gansemble.audio.spec import AudioSpec
from gansemble.errors import CheckpointError, GansembleError
from gansemble.interfaces import Condition
from gansemble.parts.build import generator
from gansemble.recipe import check
from gansemble_plugins.vocos import published

from .oracles import load, noise, weights

torch.set_num_threads(1)
HOP = 64
CONFIG = {
    "feature_extractor": {
        "class_path": "vocos.feature_extractors.MelSpectrogramFeatures",
        "init_args": {"sample_rate": 24000, "n_fft": 256, "hop_length": HOP, "n_mels": 20, "padding": "center"},
    },
    "backbone": {
        "class_path": "vocos.models.VocosBackbone",
        "init_args": {"input_channels": 20, "dim": 16, "intermediate_dim": 32, "num_layers": 3},
    },
    "head": {
        "class_path": "vocos.heads.ISTFTHead",
        "init_args": {"dim": 16, "n_fft": 256, "hop_length": HOP, "padding": "center"},
    },
}


def shapes(dim=16, hidden=32, blocks=3, mels=20, n_fft=256):
    """Of each published parameter."""
    found = {"backbone.embed.weight": (dim, mels, 7), "backbone.embed.bias": (dim,)}
    found |= {f"backbone.{norm}.{kind}": (dim,) for norm in ("norm", "final_layer_norm") for kind in ("weight", "bias")}
    for block in range(blocks):
        name = f"backbone.convnext.{block}"
        found |= {f"{name}.gamma": (dim,), f"{name}.dwconv.weight": (dim, 1, 7), f"{name}.dwconv.bias": (dim,)}
        found |= {f"{name}.norm.weight": (dim,), f"{name}.norm.bias": (dim,)}
        found |= {f"{name}.pwconv1.weight": (hidden, dim), f"{name}.pwconv1.bias": (hidden,)}
        found |= {f"{name}.pwconv2.weight": (dim, hidden), f"{name}.pwconv2.bias": (dim,)}
    return found | {"head.out.weight": (n_fft + 2, dim), "head.out.bias": (n_fft + 2,)}


def state():
    """Weights from the seed that the released network had, with its windows and filters, in float32."""
    made = {name: torch.from_numpy(value).float() for name, value in weights(shapes(), 11).items()}
    made |= {name: torch.hann_window(256) for name in published.WINDOWS}
    return made | {published.FILTERS: torch.from_numpy(load("vocos_published")["filters"]).float()}


@pytest.fixture
def files(tmp_path):
    """config.yaml and pytorch_model.bin of a narrow network."""
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    torch.save(state(), tmp_path / "pytorch_model.bin")
    return tmp_path


def test_the_names_are_those_of_the_release():
    assert sorted(load("vocos_published")["names"].tolist()) == sorted(state())


@pytest.mark.parametrize("kind", ["bin", "safetensors"])
def test_from_the_same_frames_it_makes_the_released_samples(files, kind):
    """Half a hop later, as the release centres frames: L of them are (L - 1) * hop samples there and L * hop here."""
    weights_file = files / "pytorch_model.bin"
    if kind == "safetensors":
        weights_file = files / "model.safetensors"
        save_file(state(), weights_file)
    published.write_experiment(weights_file, files / "config.yaml", files / "exp")
    vocoder, known = gansemble.load(files / "exp", device="cpu"), load("vocos_published")
    mel = torch.from_numpy(known["mel"])
    made = vocoder.generator.double()(Condition(signals={"mel": mel}))[:, 0]
    length = known["samples"].shape[-1]
    assert made.shape[-1] == mel.shape[-1] * HOP and length == (mel.shape[-1] - 1) * HOP
    assert known["samples"].std() > 0.1
    np.testing.assert_allclose(made[:, HOP // 2 : HOP // 2 + length], known["samples"], rtol=0, atol=2e-6)


def test_features_are_the_released_ones_half_a_hop_later():
    """But at the ends, where the two are padded differently."""
    known = load("vocos_published")["mel"]
    spec = AudioSpec(**published.recipe_of(CONFIG)["audio"])
    audio = torch.from_numpy(0.3 * noise(12, 2, 1600))
    later = torch.nn.functional.pad(audio, (HOP // 2, HOP // 2))
    found = log_mel(later, spec)
    inner = slice(3, 22)
    np.testing.assert_allclose(found[..., inner], known[..., inner], rtol=0, atol=5e-6)
    other = log_mel(later, AudioSpec(24000, 256, HOP, 256, 20, 0, None, 1e-7))
    assert float((other[..., inner] - torch.from_numpy(known[..., inner])).abs().max()) > 1, (
        "Slaney's filters would be another thing"
    )


def test_the_published_configuration_has_the_published_size(tmp_path):
    config = copy.deepcopy(CONFIG)
    config["feature_extractor"]["init_args"] |= {"n_fft": 1024, "hop_length": 256, "n_mels": 100}
    config["backbone"]["init_args"] = {"input_channels": 100, "dim": 512, "intermediate_dim": 1536, "num_layers": 8}
    config["head"]["init_args"] |= {"dim": 512, "n_fft": 1024, "hop_length": 256}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(published.recipe_of(config)))
    network = generator(check.load(tmp_path / "recipe.yaml"))
    wanted = shapes(512, 1536, 8, 100, 1024)
    assert (
        sum(p.numel() for p in network.parameters()) == sum(np.prod(shape) for shape in wanted.values()) == 13_531_650
    )


def test_beside_the_package_at_full_size():
    """The very module, where it is installed, with random weights."""
    pytest.importorskip("vocos", reason="the package vocos is not installed")
    from vocos.feature_extractors import MelSpectrogramFeatures
    from vocos.heads import ISTFTHead
    from vocos.models import VocosBackbone

    torch.manual_seed(1)
    mel, trunk, head = MelSpectrogramFeatures(), VocosBackbone(100, 512, 1536, 8), ISTFTHead(512, 1024, 256, "center")
    theirs = torch.nn.ModuleDict({"feature_extractor": mel, "backbone": trunk, "head": head})
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        features = mel(0.3 * torch.randn(1, 24000))
        expected = head(trunk(features))
    spec = AudioSpec(24000, 1024, 256, 1024, 100, 0, None, 1e-7, 1e-18, "htk")
    from gansemble_plugins.vocos.generator import Vocos

    ours = Vocos(audio=spec)
    ours.load_state_dict(published.renamed(theirs.state_dict(), spec, "x"))
    with torch.no_grad():
        found = ours(Condition(signals={"mel": features}))[:, 0, 128 : 128 + expected.shape[-1]]
    difference = float((found - expected).abs().max() / expected.abs().max())
    print(f"largest difference over the largest sample: {difference:.1e}", file=sys.stderr)
    assert difference < 1e-5 and expected.std() > 1e-3


def changed(section, key, value):
    config = copy.deepcopy(CONFIG)
    (config[section] if key == "class_path" else config[section]["init_args"])[key] = value
    return config


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        (
            "feature_extractor",
            "class_path",
            "vocos.feature_extractors.EncodecFeatures",
            "expected vocos.….MelSpectrogramFeatures",
        ),
        ("backbone", "class_path", "vocos.models.VocosResNetBackbone", "expected vocos.….VocosBackbone"),
        ("head", "class_path", "vocos.heads.IMDCTSymExpHead", "expected vocos.….ISTFTHead"),
        ("backbone", "adanorm_num_embeddings", 4, "adanorm_num_embeddings is 4: expected None"),
        ("feature_extractor", "padding", "valid", "padding is valid: expected center or same"),
        ("head", "clip", 10, "head.init_args.clip is 10: no network here has such a key"),
        ("head", "padding", "same", "head's padding is same, and feature_extractor's padding center"),
        ("head", "hop_length", 128, "head.init_args.hop_length is 128, and feature_extractor.init_args.hop_length 64"),
        ("backbone", "input_channels", 80, "input_channels is 80, and feature_extractor.init_args.n_mels 20"),
        ("backbone", "dim", "wide", "backbone.init_args.dim: expected a whole number, got wide"),
    ],
)
def test_what_no_network_here_has_is_refused_by_its_key(tmp_path, section, key, value, words):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(changed(section, key, value)))
    torch.save(state(), tmp_path / "model.bin")
    with pytest.raises(GansembleError) as caught:
        published.write_experiment(tmp_path / "model.bin", tmp_path / "config.yaml", tmp_path / "exp")
    assert words in str(caught.value) and "config.yaml" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "exp").exists()


@pytest.mark.parametrize("text", ["just words", "[1, 2]", "head: 3", "a: [", ""])
def test_what_is_no_configuration_is_refused(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(GansembleError, match=r"config\.yaml"):
        published.write_experiment(tmp_path / "model.bin", tmp_path / "config.yaml", tmp_path / "exp")


def test_a_layer_scale_that_is_stated_changes_nothing(files):
    (files / "config.yaml").write_text(yaml.safe_dump(changed("backbone", "layer_scale_init_value", 0.5)))
    published.write_experiment(files / "pytorch_model.bin", files / "config.yaml", files / "exp")


@pytest.mark.parametrize("name", [*published.WINDOWS, published.FILTERS, "backbone.convnext.0.gamma", "head.out.bias"])
def test_weights_that_are_not_the_configurations_are_refused(files, name):
    """Filters and windows are computed here, so that others in the file would be a silent mismatch; the rest must be there."""
    wrong = state()
    wrong[name] = wrong[name] * 2 if name in (*published.WINDOWS, published.FILTERS) else torch.zeros(3)
    torch.save(wrong, files / "pytorch_model.bin")
    with pytest.raises(CheckpointError) as caught:
        published.write_experiment(files / "pytorch_model.bin", files / "config.yaml", files / "exp")
    assert "pytorch_model.bin: " in str(caught.value) and not (files / "exp").exists()


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x04cos\nsystem\n(S'true'\ntR."])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
def test_a_file_that_is_none_of_weights_is_refused(files, name, content):
    (files / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="not readable as"):
        published.write_experiment(files / name, files / "config.yaml", files / "exp")


def test_the_command_says_what_can_be_done_then(files):
    from click.testing import CliRunner

    from gansemble_plugins.vocos.command import command

    words = [
        "--generator",
        str(files / "pytorch_model.bin"),
        "--config",
        str(files / "config.yaml"),
        "--exp",
        str(files / "exp"),
    ]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0 and "gansemble synthesise --exp" in result.output and "HTK's filters" in result.output
    assert torch.equal(hann(256, torch.device("cpu"), torch.float32), torch.hann_window(256))
    assert mel_basis(AudioSpec(mel_filters="htk"), torch.device("cpu"), torch.float32).max() > 0.9
