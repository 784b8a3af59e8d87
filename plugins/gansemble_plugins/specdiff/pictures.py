"""Pictures of the injected noise: mean spectra, SNR against t, and spectrograms of noise and noisy clips."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from gansemble.audio.features import stft
from gansemble.files import write_atomically
from gansemble_plugins.specdiff.filter import Compat
from gansemble_plugins.specdiff.forward_process import alpha_bar
from gansemble_plugins.specdiff.injector import SpectralDiffusion
from gansemble_plugins.specdiff.noise import LENGTHS, ShapedNoise, decibels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Of the curves in every picture.
COLOURS = {
    "signal": "#1f2937",
    "envelope of": "#9ca3af",
    "inverse": "#dc2626",
    "envelope": "#2563eb",
    "none": "#059669",
}
NAMES = {"inverse": "noise: inverse envelope", "envelope": "noise: envelope", "none": "noise: white"}
FORMS: tuple[Compat, ...] = ("principled", "official")


def spectra(hertz: Tensor, columns: Mapping[str, Tensor]) -> Figure:
    """Mean spectra [dB] of the clip, of its envelope and of the noise of each shaping, one panel for each form.

    Args:
        hertz: frequencies [F] [Hz].
        columns: by the names of the table's columns.
    """
    figure = _figure(11, 4)
    for axes, form in zip(figure.subplots(1, 2, sharex=True), FORMS, strict=True):
        axes.plot(hertz / 1000, columns["signal_db"], color=COLOURS["signal"], linewidth=1, label="clip")
        envelope = columns[f"{form}_envelope_of_clip_db"]
        axes.plot(hertz / 1000, envelope, color=COLOURS["envelope of"], linewidth=1.5, label="its envelope")
        for shaping, label in NAMES.items():
            axes.plot(hertz / 1000, columns[f"{form}_{shaping}_db"], color=COLOURS[shaping], linewidth=1, label=label)
        _dress(axes, f"compat: {form}", "kHz", "mean power in a bin [dB of full scale]")
    figure.axes[0].legend(fontsize=7, loc="lower center")
    return figure


def ratios(rows: Sequence[Mapping[str, float]]) -> Figure:
    """SNR [dB] against t for every T, one panel for each form, of noise of the inverse envelope."""
    from matplotlib import colormaps

    figure = _figure(11, 4)
    for axes, form in zip(figure.subplots(1, 2), FORMS, strict=True):
        for place, length in enumerate(LENGTHS):
            shown = [row for row in rows if row["T"] == length]
            axes.semilogx(
                [row["t"] for row in shown],
                [row[f"{form}_inverse_db"] for row in shown],
                color=colormaps["viridis"](0.9 * place / (len(LENGTHS) - 1)),
                linewidth=1.4,
                label=f"T = {length}",
            )
        axes.axhline(0, color="#9ca3af", linewidth=0.8)
        _dress(axes, f"compat: {form}, inverse envelope", "t", "signal to noise [dB]")
    figure.axes[0].legend(fontsize=7, loc="lower left")
    return figure


def spectrograms(clip: Tensor, noises: Sequence[ShapedNoise], like: SpectralDiffusion) -> Figure:
    """Spectrograms of the clip, of the noise of each shaping and of the clip after T = 100 and 1000 steps of diffusion.

    All are of the form ``principled`` and share one scale of 80 dB.
    """
    ours = {noise.shaping: noise.samples for noise in noises if noise.compat == "principled"}
    schedule, shown = like.process.schedule, {"clip": clip}
    shown |= {NAMES[shaping]: samples for shaping, samples in ours.items()}
    for length in (100, 1000):
        power = float(alpha_bar(length, schedule.beta_first, schedule.beta_last)[-1])
        shown[f"clip after t = T = {length}, inverse envelope"] = (
            power**0.5 * clip + (1 - power) ** 0.5 * ours["inverse"]
        )
    audio = like.audio
    levels = {
        name: decibels(stft(samples[None], audio.n_fft, audio.hop, audio.window)[0].abs().square())
        for name, samples in shown.items()
    }
    top = max(float(each.max()) for each in levels.values())
    extent = (0.0, len(clip) / audio.sample_rate, 0.0, audio.sample_rate / 2000)
    figure = _figure(12, 5)
    for axes, (name, level) in zip(figure.subplots(2, 3).flat, levels.items(), strict=True):
        axes.imshow(level.numpy(), origin="lower", aspect="auto", cmap="magma", vmin=top - 80, vmax=top, extent=extent)
        _dress(axes, name, "s", "kHz", grid=False)
    return figure


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _dress(axes: Axes, title: str, across: str, up: str, grid: bool = True) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(across, fontsize=8)
    axes.set_ylabel(up, fontsize=8)
    axes.tick_params(labelsize=7)
    if grid:
        axes.grid(alpha=0.25)


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_atomically(path, buffer.getvalue())
