"""``gansemble specdiff noise``: what a recipe's noise injection does to a clip, as pictures and tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gansemble.cli.examples import epilog
from gansemble.cli.options import PATH, NamedPath, finite, set_option, writable_folder
from gansemble.errors import GansembleError

if TYPE_CHECKING:
    from torch import Tensor

    from gansemble.recipe.schema import Recipe
    from gansemble_plugins.specdiff.injector import SpectralDiffusion
    from gansemble_plugins.specdiff.noise import ShapedNoise

FILE = NamedPath(exists=True, dir_okay=False)


@click.group("specdiff", epilog=epilog("gansemble specdiff noise conf/v1.yaml --clip clip.wav --output noise/"))
def group() -> None:
    """Look at SpecDiff-GAN's noise injection."""


@group.command(
    "noise",
    epilog=epilog(
        "gansemble specdiff noise conf/v1.yaml --clip clip.wav --output noise/",
        "gansemble specdiff noise conf/v1.yaml --clip clip.wav --output noise/ --start 1 --seconds 2",
    ),
)
@click.argument("recipe", type=PATH)
@set_option
@click.option("--clip", type=FILE, required=True, help="A mono audio file, such as one of the corpus.")
@click.option("--output", type=PATH, required=True, help="Folder to write pictures and tables in.")
@click.option(
    "--start",
    type=click.FloatRange(0, 1e6),
    callback=finite,
    default=0.0,
    show_default=True,
    help="Where in the clip to begin [s].",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 6),
    callback=finite,
    default=3.0,
    show_default=True,
    help="How much of the clip to look at.",
)
@click.option("--seed", type=click.IntRange(0, 2**53), default=0, show_default=True, help="Of the noise.")
@click.option("--resample", is_flag=True, help="Convert a clip of another sample rate instead of refusing it.")
def noise(
    recipe: Path,
    overrides: tuple[str, ...],
    clip: Path,
    output: Path,
    start: float,
    seconds: float,
    seed: int,
    resample: bool,
) -> None:
    """Draw and tabulate the noise that RECIPE's diffusion adds to a clip.

    Of each shaping (inverse envelope, envelope, none), in the forms principled and official: spectra of clip, envelope
    and noise (spectra.png, spectra.csv), the level of the noise as measured and as its law says (levels.csv), signal to
    noise at every step t for T = 10 to 1000 (snr.png, snr.csv), and spectrograms (spectrograms.png). Betas, sigma, lifter
    and floor are those of the recipe's noise_injector where it is spectral_diffusion, else the paper's; the clip is
    scaled by data.normalise, as in training.
    """
    from gansemble.stages import Project
    from gansemble_plugins.specdiff import pictures
    from gansemble_plugins.specdiff.noise import shaped_noises, snr_rows

    checked = Project.of(recipe, overrides).checked()
    like = _injector(checked)
    samples = _stretch(clip, checked, start, seconds, resample)
    writable_folder(output)
    noises = shaped_noises(samples, like, seed)
    hertz, columns = _spectra(samples, noises, like)
    rows = list(snr_rows(samples, noises, like))
    _table(output / "spectra.csv", _columns({"hz": hertz} | columns))
    _table(output / "snr.csv", rows)
    _table(output / "levels.csv", _levels(samples, noises, columns))
    pictures.save(pictures.spectra(hertz, columns), output / "spectra.png")
    pictures.save(pictures.ratios(rows), output / "snr.png")
    pictures.save(pictures.spectrograms(samples, noises, like), output / "spectrograms.png")
    for row in rows:
        if row["t"] == row["T"] and row["T"] in (10, 100, 1000):
            click.echo(
                f"t = T = {row['T']:g}: signal to noise {row['principled_inverse_db']:+.1f} dB (principled), "
                f"{row['official_inverse_db']:+.1f} dB (official)"
            )
    click.echo(f"{output}: spectra, snr and spectrograms (.png), spectra, snr and levels (.csv)")


def _injector(recipe: Recipe) -> SpectralDiffusion:
    """The recipe's injector, or one with the paper's values where it has another or none."""
    from gansemble.recipe.construct import construct
    from gansemble_plugins.specdiff.injector import SpectralDiffusion

    part = recipe.single.get("noise_injector")
    made = None if part is None else construct(part, recipe)
    return made if isinstance(made, SpectralDiffusion) else SpectralDiffusion(audio=recipe.audio)


def _stretch(path: Path, recipe: Recipe, start: float, seconds: float, resample: bool) -> Tensor:
    """The chosen stretch of a clip in whole frames, float64 [T], of the level that training sees.

    Raises:
        GansembleError: if the clip ends before the stretch has the samples that its first filter needs.
    """
    import torch

    from gansemble.audio import files

    audio, peak = recipe.audio, recipe.data.normalise
    whole = torch.from_numpy(files.read_mono(path, audio.sample_rate, resample)).double()
    if peak is not None and float(whole.abs().max()) > 0:
        whole = whole * (peak / float(whole.abs().max()))
    chosen = whole[round(start * audio.sample_rate) :][: round(seconds * audio.sample_rate)]
    chosen = chosen[: len(chosen) // audio.hop * audio.hop]
    if len(chosen) < audio.n_fft:
        raise GansembleError(
            f"{path}: {len(chosen) / audio.sample_rate:.3f} s are left after --start {start:g} s of a clip of "
            f"{len(whole) / audio.sample_rate:.3f} s, and at least {audio.n_fft / audio.sample_rate:.3f} s (n_fft "
            f"{audio.n_fft}) are needed; give a longer clip, an earlier --start or more --seconds"
        )
    return chosen


def _spectra(clip: Tensor, noises: Sequence[ShapedNoise], like: SpectralDiffusion) -> tuple[Tensor, dict[str, Tensor]]:
    """Frequencies [F] [Hz], and spectra [F] [dB] by the names of the table's columns."""
    import torch

    from gansemble_plugins.specdiff.noise import mean_envelope, mean_spectrum
    from gansemble_plugins.specdiff.pictures import FORMS

    columns = {"signal_db": mean_spectrum(clip, like)}
    columns |= {f"{form}_envelope_of_clip_db": mean_envelope(clip, like, form) for form in FORMS}
    columns |= {f"{noise.name}_db": mean_spectrum(noise.samples, like) for noise in noises}
    return torch.linspace(0, like.audio.sample_rate / 2, like.audio.n_fft // 2 + 1), columns


def _levels(clip: Tensor, noises: Sequence[ShapedNoise], columns: Mapping[str, Tensor]) -> list[dict[str, object]]:
    """For each form: RMS of clip and noise, RMS by the law, and how alike the spectra of noise and clip are."""
    from gansemble_plugins.specdiff.noise import likeness, rms

    return [
        {
            "compat": noise.compat,
            "shaping": noise.shaping,
            "clip_rms": rms(clip),
            "noise_rms": noise.rms,
            "noise_rms_by_law": noise.law,
            "correlation_with_clip": likeness(columns[f"{noise.name}_db"], columns["signal_db"]),
        }
        for noise in noises
    ]


def _columns(columns: Mapping[str, Tensor]) -> list[dict[str, float]]:
    values = {name: column.tolist() for name, column in columns.items()}
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def _table(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Writes rows as CSV, numbers to six digits."""
    from gansemble.files import write_atomically

    rows, text = list(rows), io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    for row in rows:
        writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})
    write_atomically(path, text.getvalue())
