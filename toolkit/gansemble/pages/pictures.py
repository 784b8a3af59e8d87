"""Pictures of a page: spectrograms whose time axis has a known place, and figures, as data URLs of small PNG files."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np

from gansemble.audio.spec import AudioSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = (
    *("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#0891b2"),
    *("#65a30d", "#dc2626", "#4b5563", "#c026d3", "#0d9488", "#92400e"),
)
GREYS = ("#9ca3af", "#6b7280", "#d1d5db", "#374151")
#: Where a spectrogram's time axis begins and how wide it is, as shares of the picture's width.
LEFT, WIDTH = 0.085, 0.90
#: The same of its frequency axis, of the picture's height from below.
BOTTOM, HEIGHT = 0.15, 0.82
#: Colours of a picture: few enough for a palette.
PALETTE = 128
#: Pixels of a spectrogram picture, twice those that it is shown with.
SIZE = (460, 190)


def levels(audio: np.ndarray, spec: AudioSpec) -> np.ndarray:
    """The magnitude spectrogram of a clip in decibels.

    Its frequency axis is linear, as mel bands would hide artefacts at high frequencies.

    Shape:
        - audio: [T], T samples
        - output: [F, L], F = ``n_fft // 2 + 1`` bins and L frames
    """
    import torch

    from gansemble.audio.features import magnitude, stft

    padded = np.pad(audio, (0, max(0, spec.n_fft - len(audio))))
    spectrum = magnitude(stft(torch.from_numpy(padded)[None], spec.n_fft, spec.hop, spec.window), 1e-10)[0]
    return 20 * np.log10(spectrum.numpy())


def top(audio: np.ndarray, spec: AudioSpec) -> float:
    """The highest level of a clip's spectrogram [dB]."""
    return float(levels(audio, spec).max())


def spectrogram(audio: np.ndarray, spec: AudioSpec, top: float) -> str:
    """A spectrogram as the data URL of a PNG, whose axes can be read on white and on black.

    Args:
        audio: samples [T].
        spec: gives the sample rate and the short-time Fourier transform.
        top: level with the brightest colour [dB]; the darkest is 80 dB below.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIZE[0] / 100, SIZE[1] / 100), dpi=110, facecolor="none")
    axes = figure.add_axes((LEFT, BOTTOM, WIDTH, HEIGHT))
    extent = (0, max(len(audio), 1) / spec.sample_rate, 0, spec.sample_rate / 2000)  # [s], [s], [kHz], [kHz]
    axes.imshow(
        levels(audio, spec),
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=top - 80,
        vmax=top,
        extent=extent,
        interpolation="nearest",
    )
    grey = "#808894"
    axes.tick_params(labelsize=7, length=2, pad=2, color=grey, labelcolor=grey)
    for side in axes.spines.values():
        side.set_visible(False)
    # Units stand at the ends of the axes, where there is room for them.
    axes.annotate(
        "kHz", (0, 1), xycoords="figure fraction", xytext=(1, -7), textcoords="offset points", fontsize=6, color=grey
    )
    axes.annotate(
        "s", (1, 0), xycoords="figure fraction", xytext=(-6, 2), textcoords="offset points", fontsize=7, color=grey
    )
    return small_png(figure)


def small_png(figure: Figure) -> str:
    """A figure as the data URL of a PNG of few colours."""
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", transparent=True)
    picture = Image.open(buffer).quantize(PALETTE, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    out = io.BytesIO()
    picture.save(out, format="png", optimize=True)
    return url(out.getvalue())


def png(figure: Figure) -> str:
    """A figure as the data URL of a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return url(buffer.getvalue())


def url(data: bytes) -> str:
    """The bytes of a PNG file as a data URL."""
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")
