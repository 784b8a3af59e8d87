"""``gansemble bandnoise-curve``: where the noise would lie below or above a recording. Imported when it is called."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from bandnoise import band


@click.command("bandnoise-curve")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--low-hz", type=float, default=band.DEFAULTS["low_hz"], show_default=True, help="Lower edge [Hz].")
@click.option("--high-hz", type=float, default=band.DEFAULTS["high_hz"], show_default=True, help="Upper edge [Hz].")
@click.option("--snr-db", type=float, default=20.0, show_default=True, help="Signal-to-noise ratio [dB].")
@click.option("--rows", type=click.IntRange(1), default=16, show_default=True, help="How many stretches of frequency.")
def command(file: Path, low_hz: float, high_hz: float, snr_db: float, rows: int) -> None:
    """Level of FILE and of the noise band_noise would add to it, by frequency [dB of full scale]."""
    import torch

    from bandnoise.injector import BandNoise
    from gansemble.audio import files
    from gansemble.audio.spec import AudioSpec
    from gansemble.errors import DataError
    from gansemble.interfaces import Batch
    from gansemble.random import Draws

    samples, rate = files.read(file)
    found = band.faults(low_hz, high_hz, rate)
    if found:
        raise DataError("; ".join(f"{file}: --{key.replace('_', '-')} {message}" for key, message in found))
    audio = torch.from_numpy(samples[:1])[None]
    shortest = band.shortest(low_hz, high_hz, rate)
    if audio.shape[-1] < max(shortest, 2 * rows):
        raise DataError(f"{file}: expected at least {max(shortest, 2 * rows)} samples, got {audio.shape[-1]}")
    spec = AudioSpec(sample_rate=rate, fmax=None)
    injector = BandNoise(audio=spec, low_hz=low_hz, high_hz=high_hz, snr_db=snr_db)
    noise = injector.noise(audio, Batch(audio, (file.stem,), Draws.plain(0, 1)))
    click.echo(f"{'[Hz]':>13}  {'file [dB]':>9}  {'noise [dB]':>10}")
    length = audio.shape[-1]
    powers = [2 * torch.fft.rfft(x[0, 0].double()).abs().square() / length**2 for x in (audio, noise)]
    for row in range(rows):
        edges = (rate / 2 * row / rows, rate / 2 * (row + 1) / rows)
        levels = [_level(power, band.bins(*edges, rate, length)) for power in powers]
        click.echo(f"{edges[0]:6.0f}-{edges[1]:6.0f}  {levels[0]:>9}  {levels[1]:>10}")


def _level(power: Any, within: slice) -> str:
    """Of the bins ``within`` [dB of full scale]; a dash below -120 dB."""
    total = float(power[within].sum())
    return f"{10 * math.log10(total):.1f}" if total > 1e-12 else "-"
