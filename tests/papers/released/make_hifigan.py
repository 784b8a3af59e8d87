"""Makes hifigan.npz: numbers of the released HiFi-GAN, from its code at a path given on the command line.

    python -m released.make_hifigan /path/to/hifi-gan

Nothing of that code is here. README.md says which version was used and what each number is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import torch
from scipy.io import wavfile

from .fill import fill, start
from .oracles import noise, save, summary

CONFIGS = {"v1": "config_v1.json", "v2": "config_v2.json", "v3": "config_v3.json"}
#: The narrow generators' first widths.
WIDTHS = {"v1": 32, "v2": 64, "v3": 32}
SEEDS = range(12)


def adapt_to_present_libraries() -> None:
    """Lets code written for torch 1.4 and librosa 0.7 run: positional filters, spectrograms as pairs of reals."""
    mel, stft = librosa.filters.mel, torch.stft

    def old_mel(sr: int, n_fft: int, n_mels: int, fmin: float, fmax: float | None) -> np.ndarray:
        return mel(sr=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)

    def old_stft(*arguments: Any, **named: Any) -> torch.Tensor:
        return torch.view_as_real(stft(*arguments, **named, return_complex=True))

    librosa.filters.mel, torch.stft = old_mel, old_stft  # type: ignore[assignment]


def narrow(models: types.ModuleType) -> None:
    """Convolutions made from now on have a sixteenth of their channels, at least 16 in MSD and at least 1 in MPD."""

    def smaller(layer: type, least: int) -> Any:
        def make(before: int, after: int, *rest: Any, **named: Any) -> torch.nn.Module:
            sizes = [1 if size == 1 else max(least, size // 16) for size in (before, after)]
            return layer(*sizes, *rest, **named)

        return make

    models.Conv1d, models.Conv2d = smaller(torch.nn.Conv1d, 16), smaller(torch.nn.Conv2d, 1)


def config(path: Path, version: str, **changes: Any) -> Any:
    from env import AttrDict  # the released code's

    return AttrDict(json.loads((path / CONFIGS[version]).read_text()) | changes)


def exact_vectors(layer: torch.nn.Module) -> None:
    """Puts spectral norm at its fixed point, where passes change nothing."""
    left, _, right = torch.linalg.svd(layer.weight_orig.detach().flatten(1), full_matrices=False)
    layer.weight_u.copy_(left[:, 0])
    layer.weight_v.copy_(right[0])


def mels(found: dict[str, Any]) -> None:
    import meldataset

    audio = torch.from_numpy(0.1 * noise(1, 1, 4096)).float()
    for name, top in (("mel", 8000), ("mel_full_band", None)):
        found[name] = meldataset.mel_spectrogram(audio, 1024, 80, 22050, 256, 1024, 0, top)[0].numpy()


def generators(found: dict[str, Any], models: types.ModuleType, path: Path) -> None:
    mel = torch.from_numpy(noise(2, 1, 80, 3))
    for version in CONFIGS:
        network = fill(models.Generator(config(path, version, upsample_initial_channel=WIDTHS[version])), 3, str)
        with torch.no_grad():
            found[f"generator/{version}"] = network(mel)[0, 0].numpy()


def first_weights(found: dict[str, Any], models: types.ModuleType, path: Path) -> None:
    """Deviations after the first forward pass, when weight norm has made the weights anew; levels of the output."""
    mel = torch.from_numpy(noise(4, 1, 80, 8)).float() - 5
    for version in CONFIGS:
        deviations, levels = [], []
        for seed in SEEDS:
            torch.manual_seed(seed)
            network = models.Generator(config(path, version))
            before = float(network.conv_post.weight.std())
            with torch.no_grad():
                levels.append(float(network(mel).std()))
            first = next(block for block in network.resblocks)
            inner = first.convs1[0] if hasattr(first, "convs1") else first.convs[0]
            layers = [network.conv_pre, *network.ups, inner, network.conv_post]
            deviations.append([float(layer.weight.std()) for layer in layers])
        print(version, "conv_post before the first pass", round(before, 4), "after", round(deviations[-1][-1], 4))
        found[f"first/{version}/deviations"] = np.array(deviations)
        found[f"first/{version}/levels"] = np.array(levels)
    for name, kind in (("mpd", models.MultiPeriodDiscriminator), ("msd", models.MultiScaleDiscriminator)):
        torch.manual_seed(0)
        network = kind()
        with torch.no_grad():
            network(torch.zeros(1, 1, 2048), torch.zeros(1, 1, 2048))
        layers = [network.discriminators[1].convs[i] for i in range(5)]
        found[f"first/{name}/deviations"] = np.array([float(layer.weight.std()) for layer in layers])


def judges(models: types.ModuleType) -> dict[str, torch.nn.Module]:
    """Narrow discriminators with weights from a seed, and spectral norm at its fixed point."""
    made = {"mpd": models.MultiPeriodDiscriminator(), "msd": models.MultiScaleDiscriminator()}
    for name, network in made.items():
        fill(network, {"mpd": 5, "msd": 6}[name], str).train()
    for layer in spectral_layers(made["msd"]):
        exact_vectors(layer)
    return made


def spectral_layers(msd: torch.nn.Module) -> list[torch.nn.Module]:
    first = msd.discriminators[0]
    return [*first.convs, first.conv_post]


def discriminators(found: dict[str, Any], models: types.ModuleType) -> None:
    """Scores and maps, the losses of them, and one turn of AdamW."""
    real, fake = (torch.from_numpy(0.3 * noise(seed, 2, 1, 1500)) for seed in (7, 8))
    made, total = judges(models), 0.0
    for name, network in made.items():
        real_scores, fake_scores, real_maps, fake_maps = network(real, fake)
        for index, (score, maps) in enumerate(zip(real_scores, real_maps, strict=True)):
            found[f"{name}/{index}/score"] = summary(score.detach())
            found[f"{name}/{index}/maps"] = np.array([summary(each.detach()) for each in maps])
        loss, *_ = models.discriminator_loss(real_scores, fake_scores)
        adversarial, _ = models.generator_loss(fake_scores)
        features = models.feature_loss(real_maps, fake_maps)
        found[f"{name}/losses"] = [float(each) for each in (loss.detach(), adversarial, features)]
        total = total + loss
    parameters = [*made["msd"].parameters(), *made["mpd"].parameters()]
    optimiser = torch.optim.AdamW(parameters, 0.0002, betas=[0.8, 0.99])
    before = {key: value.detach().clone() for key, value in named(made).items()}
    total.backward()
    optimiser.step()
    for key, value in named(made).items():
        found[f"turn/{key}"] = summary(value.detach() - before[key], 4)


def named(made: dict[str, torch.nn.Module]) -> dict[str, torch.Tensor]:
    return {f"{name}.{key}": value for name, network in made.items() for key, value in network.named_parameters()}


def cold_start(found: dict[str, Any], models: types.ModuleType) -> None:
    """The first scale's scores in five passes from random vectors, and where the vectors then are."""
    network = models.DiscriminatorS(use_spectral_norm=True)
    fill(network, 9, str).train()
    layers = [*network.convs, network.conv_post]
    for index, layer in enumerate(layers):
        layer.weight_u.copy_(start(layer.weight_u.numel(), 100 + index))
        layer.weight_v.copy_(start(layer.weight_v.numel(), 200 + index))
    audio = torch.from_numpy(0.3 * noise(10, 1, 1, 1500))
    with torch.no_grad():
        found["cold/scores"] = np.array([summary(network(audio)[0]) for _ in range(5)])
        found["cold/vectors"] = np.array([summary(layer.weight_u) for layer in network.convs])
        network.eval()
        found["cold/score_of_eval"] = summary(network(audio)[0])


def crops(found: dict[str, Any]) -> None:
    """Where 3000 crops of a clip six samples longer than a segment begin, and one crop's samples."""
    import meldataset

    ramp = np.arange(-4096, 4102, dtype=np.int16) * 2
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ramp.wav"
        wavfile.write(file, 22050, ramp)
        data = meldataset.MelDataset(
            [str(file)], 8192, 1024, 80, 256, 1024, 22050, 0, 8000, n_cache_reuse=10**6, device="cpu"
        )
        random.seed(1234)
        mel, meldataset.mel_spectrogram = meldataset.mel_spectrogram, lambda *_, **__: torch.zeros(1)
        first = [data[0][1].numpy() for _ in range(3000)]
        meldataset.mel_spectrogram = mel
    starts = [round(float(crop[0]) / 0.95 * 8204 / 2 + 4102) for crop in first]
    values, counts = np.unique(starts, return_counts=True)
    found["crops/starts"], found["crops/counts"] = values - values.min(), counts
    found["crops/highest"] = max(float(np.abs(crop).max()) for crop in first)
    found["crops/samples"] = next(crop for crop, at in zip(first, starts, strict=True) if at == values.min())[:16]


def split(found: dict[str, Any], path: Path) -> None:
    for name in ("training", "validation"):
        lines = (path / "LJSpeech-1.1" / f"{name}.txt").read_text(encoding="utf-8").split("\n")
        ids = sorted(line.split("|")[0] for line in lines if line)
        found[f"split/{name}/count"] = len(ids)
        found[f"split/{name}/sha256"] = hashlib.sha256("\n".join(ids).encode()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("code", type=Path, help="The released code's folder.")
    path = parser.parse_args().code
    sys.path.insert(0, str(path))
    adapt_to_present_libraries()
    torch.set_num_threads(1)
    import models  # the released code's

    found: dict[str, Any] = {}
    mels(found)
    generators(found, models, path)
    first_weights(found, models, path)
    narrow(models)
    discriminators(found, models)
    cold_start(found, models)
    crops(found)
    split(found, path)
    file = save("hifigan", found)
    print(f"{file}: {len(found)} arrays, {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
