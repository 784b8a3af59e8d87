"""Makes specdiff.npz: numbers of the released SpecDiff-GAN, from its code at a path given on the command line.

    python -m released.make_specdiff /path/to/SpecDiff-GAN

Nothing of that code is here. README.md says which version was used and what each number is.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .fill import fill
from .oracles import noise, save, summary

LENGTHS = (10, 100, 505, 1000)
#: The diffusion steps of a batch of four, one of them clean.
TIMES = (0, 2, 5, 10)
UPDATES = 1000


def speechlike(seed: int, items: int, samples: int) -> np.ndarray:
    """Noise [B, T] that falls by 40 dB over frequency and swells twice: an envelope that a filter can follow."""
    spectrum = np.fft.rfft(noise(seed, items, samples))
    tilt = 10 ** (-2 * np.linspace(0, 1, spectrum.shape[1]))
    swell = 0.05 + np.sin(np.linspace(0, 2 * np.pi, samples)) ** 2
    audio = np.fft.irfft(spectrum * tilt, samples) * swell
    return 0.5 * audio / np.abs(audio).max(1, keepdims=True)


def filters(found: dict[str, Any]) -> torch.Tensor:
    """Mel and filter of speech-like noise, and what the filter makes of white noise; all in single precision."""
    import meldataset
    import utils

    audio = torch.from_numpy(speechlike(1, 4, 2048)).float()
    mel, filter_ = meldataset.mel_spectrogram(audio, 1024, 80, 22050, 256, 1024, 0, 8000)
    found["filter"], found["mel"] = filter_[0].numpy(), mel[0].numpy()
    white = torch.from_numpy(noise(2, 1, 1, 2048)).float()
    found["noise"] = utils.istft_M_stft(white, filter_[:1], 1024, 256, 1024)[0, 0].numpy()
    return filter_


def schedules(found: dict[str, Any], diffusion: types.ModuleType) -> None:
    """sqrt(abar), and the law of t as it is handed to NumPy, at several T."""
    laws: list[np.ndarray] = []
    choice = np.random.choice

    def listening(values: Any, *arguments: Any, **named: Any) -> Any:
        if named.get("p") is not None:
            laws.append(named["p"])
        return choice(values, *arguments, **named)

    np.random.choice = listening
    for length in LENGTHS:
        process = diffusion.Diffusion((length - 10) / 990, 1024, 256, 1024)
        assert process.num_timesteps == length
        found[f"schedule/{length}"] = process.alphas_bar_sqrt.numpy()
        found[f"law/{length}"] = laws[-1]
    np.random.choice = choice
    process = diffusion.Diffusion(0.0, 1024, 256, 1024)
    found["pool/zeros"] = int((process.t_epl == 0).sum())
    found["pool/size"] = len(process.t_epl)


def injections(found: dict[str, Any], diffusion: types.ModuleType, filter_: torch.Tensor) -> None:
    """Real and fake after t steps, and the gradient of a projection of the fake."""
    process = diffusion.Diffusion(0.0, 1024, 256, 1024)
    real = torch.from_numpy(speechlike(1, 4, 2048)).float()[:, None]
    fake = torch.from_numpy(speechlike(3, 4, 2048)).float()[:, None].requires_grad_()
    choice, randn_like = np.random.choice, torch.randn_like
    # Fixed t and noise. Calls of more than one item must not be handed t, at whose truth the code stops.
    np.random.choice = lambda *_, **__: np.array(TIMES)
    seen = {}
    for name, signal, seed in (("real", real, 4), ("fake", fake, 5)):
        torch.randn_like = lambda x, seed=seed, **_: torch.from_numpy(noise(seed, *x.shape)).to(x)
        seen[name], _ = process(signal, filter_)
    np.random.choice, torch.randn_like = choice, randn_like
    (gradient,) = torch.autograd.grad((seen["fake"] * torch.from_numpy(noise(6, *fake.shape)).float()).sum(), fake)
    for name, signal in (*seen.items(), ("gradient", gradient)):
        found[f"injected/{name}"] = signal.detach()[:, 0].numpy()


def controller(found: dict[str, Any], diffusion: types.ModuleType, path: Path) -> None:
    """T after each of a thousand updates, by the statements that the released training loop runs at each."""
    tree = ast.parse((path / "SpecDiff-GAN" / "train.py").read_text(encoding="utf-8"))
    (update,) = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "diff_interval" in ast.unparse(node.test)
    ]
    process = diffusion.Diffusion(0.0, 1024, 256, 1024)
    given = {
        "torch": torch, "diffusion": process, "diff_interval": 4, "diff_kwav": 500, "diff_target": 0.6,
        "device": torch.device("cpu"), "h": types.SimpleNamespace(batch_size=16),
    }  # fmt: skip
    code = compile(ast.Module([update], []), "train.py", "exec")
    lengths, confidences = [], scores_of_training()
    for index, (first, second) in enumerate(confidences):
        exec(code, given | {"steps": 4 * index, "y_df_hat_r": first, "y_ds_hat_r": second})
        lengths.append(process.num_timesteps)
    found["controller"] = np.array(lengths, dtype=np.int16)


def scores_of_training() -> list[tuple[list[torch.Tensor], list[torch.Tensor]]]:
    """Scores of 16 real items by five and three sub-discriminators at each update: sure at first, then in doubt."""
    source, made = np.random.RandomState(7), []
    for index in range(UPDATES):
        level = 0.53 + 0.25 * np.sin(index / 150)
        items = level + 0.1 * source.randn(16, 1)
        scores = [torch.from_numpy(items + 0.3 * source.randn(16, 3)).float() for _ in range(8)]
        made.append((scores[:5], scores[5:]))
    return made


def resolutions(found: dict[str, Any], path: Path) -> None:
    """Scores and maps of the discriminator, in double precision."""
    import models
    from env import AttrDict

    given = AttrDict(json.loads((path / "configs" / "config_ljspeech.json").read_text()))
    torch.set_default_dtype(torch.float64)  # the code asks for no window, so that torch makes one
    network = fill(models.MultiResolutionDiscriminator(given), 8, str)
    audio = torch.from_numpy(0.3 * noise(9, 2, 1, 2400))
    scores, _, maps, _ = network(audio, audio)
    for index, (score, each) in enumerate(zip(scores, maps, strict=True)):
        found[f"mrd/{index}/score"] = summary(score.detach())
        found[f"mrd/{index}/maps"] = np.array([summary(x.detach()) for x in each])
    torch.set_default_dtype(torch.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("code", type=Path, help="The released code's folder.")
    path = parser.parse_args().code
    sys.path.insert(0, str(path / "SpecDiff-GAN"))
    np.int = int  # type: ignore[attr-defined]  # NumPy took it away in 1.24
    torch.set_num_threads(1)
    from gansemble.audio import torchaudio  # noqa: F401  # the wheel's compiled part may not load

    import diffusion  # isort: skip  # the released code's

    found: dict[str, Any] = {}
    filter_ = filters(found)
    schedules(found, diffusion)
    injections(found, diffusion, filter_)
    controller(found, diffusion, path)
    resolutions(found, path)
    file = save("specdiff", found)
    print(f"{file}: {len(found)} arrays, {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
