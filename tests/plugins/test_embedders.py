"""Embedders against what others compute, and what is said of weights that are not there or not theirs."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gansemble import File, Folder
from gansemble.data import download
from gansemble.errors import GansembleError, MissingNeed
from gansemble_plugins.set_metrics import clap, panns, patches, published, vggish
from gansemble_plugins.set_metrics.log_mel_statistics import LogMel

RELEASED = Path(__file__).parents[1] / "papers" / "released"
KNOWN = np.load(RELEASED / "embedders.npz")


def _maker():
    spec = importlib.util.spec_from_file_location("make_embedders", RELEASED / "make_embedders.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


maker = _maker()


# what is heard ----------------------------------------------------------


def test_log_mel_frames_are_torchvggishs():
    found = patches.patches(torch.from_numpy(maker.sweep(16000)))
    assert found.shape == (3, 96, 64) and found.dtype == torch.float32
    np.testing.assert_allclose(found[0, ::12].numpy(), KNOWN["vggish_frames"], atol=2e-6)


def test_a_log_mel_frame_by_hand():
    """One frame as the paper describes it, by a discrete Fourier transform written out."""
    audio = maker.sweep(16000)[:400].astype(np.float64)
    frame = audio * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400))
    bins = np.abs(np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(400)) / 512) @ frame)
    edges = np.linspace(*(1127 * np.log(1 + np.array([125, 7500]) / 700)), 66)
    places = 1127 * np.log(1 + np.arange(257) * 16000 / 512 / 700)
    bands = []
    for low, top, high in zip(edges[:-2], edges[1:-1], edges[2:], strict=True):
        weights = np.clip(np.minimum((places - low) / (top - low), (high - places) / (high - top)), 0, None)
        bands.append(np.log(weights @ bins + 0.01))
    np.testing.assert_allclose(patches.log_mel(torch.from_numpy(audio))[0].numpy(), bands, atol=1e-5)


@pytest.mark.parametrize(("samples", "windows"), [(1, 1), (15599, 1), (15600, 1), (30959, 1), (30960, 2)])
def test_windows_stand_side_by_side_and_short_audio_is_padded(samples, windows):
    audio = maker.sweep(16000)[:samples]
    found = patches.patches(torch.from_numpy(audio))
    assert found.shape == (windows, 96, 64)
    padded = np.pad(audio, (0, max(0, 15600 - samples)))
    assert torch.equal(found[0], patches.patches(torch.from_numpy(padded))[0])


def test_statistics_are_means_and_deviations_of_the_frames():
    audio = maker.sweep(16000)
    part = LogMel(seconds=0.5)
    image = patches.log_mel(torch.from_numpy(audio)).numpy()
    assert part.window == 400 + 49 * 160
    for index, row in enumerate(part.embed(audio)):
        frames = image[50 * index : 50 * index + 50]
        np.testing.assert_allclose(row, [*frames.mean(axis=0), *frames.std(axis=0)], atol=1e-5)


def test_frames_of_panns_are_torchlibrosas():
    """Within what its convolutions in float32 leave of levels far below the loudest."""
    found, known = panns.log_mel(torch.from_numpy(maker.sweep(32000)))[::40].numpy(), KNOWN["panns_frames"]
    np.testing.assert_allclose(found[known > -50], known[known > -50], atol=3e-3)
    np.testing.assert_allclose(found, known, atol=0.1)


@pytest.mark.slow
def test_the_networks_are_those_that_were_released():
    """Of the same weights they make the same numbers."""
    network = vggish.Network().eval()
    maker.fill(network)
    with torch.no_grad():
        found = network(patches.patches(torch.from_numpy(maker.sweep(16000)))).relu().numpy()
    np.testing.assert_allclose(found, KNOWN["vggish"], rtol=2e-4, atol=1e-3)
    other = panns.Network().eval()
    maker.fill(other)
    with torch.no_grad():
        row = other(panns.log_mel(torch.from_numpy(maker.sweep(32000)))[None])[0, ::8].numpy()
    np.testing.assert_allclose(row, KNOWN["panns"], atol=1e-3 * KNOWN["panns"].max())


def test_sizes_are_the_published_ones():
    """Parameters of VGGish: 72,141,184; of CNN14 without its 527 classes: 80,753,615 - 527 x 2049."""
    with torch.device("meta"):
        counts = [sum(each.numel() for each in network.parameters()) for network in (vggish.Network(), panns.Network())]
    assert counts == [72_141_184, 80_753_615 - 527 * 2049]


def test_panns_hears_a_short_clip_whole_and_a_long_one_in_windows(monkeypatch):
    heard = []
    monkeypatch.setattr(panns, "_network", lambda path: (None, ""))
    part = panns.Panns(weights="random", seconds=1)
    monkeypatch.setattr(part, "network", type("Stub", (), {"to": lambda self, place: self, "__call__": note(heard)})())
    for samples, frames in ((1, [32]), (20000, [63]), (32000, [101]), (79999, [101, 101])):
        heard.clear()
        assert part.embed(np.zeros(samples, np.float32)).shape == (len(frames), 2048)
        assert heard == frames


def note(heard: list[int]):
    def call(self: object, images: torch.Tensor) -> torch.Tensor:
        heard.append(images.shape[1])
        return torch.zeros(1, 2048)

    return call


# weights ----------------------------------------------------------------


class Small(torch.nn.Linear):
    """A network of six numbers."""

    def __init__(self) -> None:
        super().__init__(2, 2)


@pytest.fixture
def weights(tmp_path) -> Path:
    torch.save({"model": Small().state_dict() | {"other.weight": torch.zeros(3)}}, tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def test_weights_are_loaded_by_name_with_the_digest_of_their_file(weights):
    network = Small()
    assert published.load(network, weights, ("other.",)) == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert torch.equal(network.weight, torch.load(weights)["model"]["weight"])


def test_weights_of_another_network_are_refused_by_name(weights, tmp_path):
    for change, said in (
        (lambda state: state.pop("bias"), "lacks bias"),
        (lambda state: state.update(extra=torch.zeros(1)), "holds the unknown extra"),
        (lambda state: state.update(bias=torch.zeros(3)), "has another shape of bias"),
        (lambda state: state.update(bias=torch.full((2,), float("nan"))), "bias holds NaN or Inf"),
    ):
        state = dict(Small().state_dict())
        change(state)
        torch.save(state, tmp_path / "changed.pth")
        with pytest.raises(GansembleError, match=rf"changed\.pth: {said}"):
            published.load(Small(), tmp_path / "changed.pth")


class Evil:
    """Code that unpickling would run."""

    def __reduce__(self):
        return (sys.exit, (3,))


@pytest.mark.parametrize("content", ["text", Evil(), [1, 2]])
def test_a_file_that_holds_no_weights_is_refused_and_no_code_of_it_run(tmp_path, content):
    path = tmp_path / "weights.pth"
    if content == "text":
        path.write_text("no weights at all")
    else:
        torch.save(content, path)
    with pytest.raises(GansembleError, match=r"weights\.pth: (cannot be read as weights|expected a state dict)"):
        published.load(Small(), path)
    damaged = tmp_path / "weights.safetensors"
    damaged.write_bytes(b"123456789")
    with pytest.raises(GansembleError, match="cannot be read as safetensors"):
        published.load(Small(), damaged)


@pytest.fixture
def alone(tmp_path, monkeypatch) -> Path:
    """An empty home, and no network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def refuse(*_: object, **__: object) -> object:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(download.urllib.request, "urlopen", refuse)
    return tmp_path


@pytest.mark.parametrize("part", [vggish, panns])
def test_without_weights_and_network_it_says_what_to_fetch_and_where_to_put_it(alone, part):
    with pytest.raises(GansembleError) as told:
        (part.Vggish if part is vggish else part.Panns)()
    place = alone / "cache" / "gansemble" / "weights" / part.WEIGHTS.name
    for said in (part.WEIGHTS.url, part.WEIGHTS.sha256, f"put it at {place}", "weights: PATH", "no route to host"):
        assert said in str(told.value)


def test_weights_that_torchs_hub_keeps_are_taken_if_they_are_the_published_ones(alone):
    kept = alone / "hub" / "checkpoints" / "some.pth"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"weights")
    right = published.Published("https://x.y/some.pth", hashlib.sha256(b"weights").hexdigest(), 7, "some.pth")
    assert published.fetched(right) == kept
    with pytest.raises(GansembleError, match="expected sha256 0000"):
        published.fetched(published.Published(right.url, "0" * 64, 7, "some.pth"))


def test_published_digests_begin_as_the_names_of_the_files_say():
    assert vggish.WEIGHTS.sha256[:8] in vggish.WEIGHTS.name and len(panns.WEIGHTS.sha256) == 64


def test_keys_tell_variants_apart(monkeypatch):
    monkeypatch.setattr(vggish, "_network", lambda path: (None, ""))
    keys = {vggish.Vggish(weights="random", relu=relu).key for relu in (False, True)}
    assert keys == {"vggish_random", "vggish_relu_random"}


@pytest.mark.slow
def test_a_file_of_weights_is_embedded_by_as_its_network_does(tmp_path):
    """Through the file, windows, resampling to nothing else, and both variants of the last layer."""
    network = vggish.Network().eval()
    torch.save(network.state_dict() | {"pproc.pca_means": torch.zeros(128, 1)}, tmp_path / "weights.pth")
    audio = maker.sweep(16000)
    with torch.no_grad():
        expected = network(patches.patches(torch.from_numpy(audio))).numpy()
    for relu, wanted in ((False, expected), (True, expected.clip(0))):
        part = vggish.Vggish(weights=File(tmp_path / "weights.pth"), relu=relu)
        np.testing.assert_allclose(part.embed(audio), wanted, atol=1e-6)
        digest = hashlib.sha256((tmp_path / "weights.pth").read_bytes()).hexdigest()
        assert digest[:16] in part.definition and part.key == "vggish" + "_relu" * relu
    vggish._network.cache_clear()


def test_an_absent_file_of_weights_is_named(tmp_path):
    with pytest.raises(GansembleError, match=r"absent\.pth"):
        vggish.Vggish(weights=File(tmp_path / "absent.pth"))


def test_clap_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "transformers", None)
    clap._model.cache_clear()
    with pytest.raises(MissingNeed, match=r"needs the package transformers.*pip install 'gansemble\[clap\]'"):
        clap.Clap(folder=Folder(tmp_path))
