"""Draws the pictures of docs/guides/reading-curves.md from the logs of the runs that the page tells how to make.

python tools/draw_curves.py --runs FOLDER      # holds healthy/, overfitting/, won/ and collapse/
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

from gansemble.scoring.curves import CurveRow, read_curves

ASSETS = Path(__file__).resolve().parents[1] / "docs" / "assets"
#: Panels of a picture: a title, the curves in it (file of the logs, name), and the limits of its axis, if fixed.
Panel = tuple[str, Sequence[tuple[str, str]], tuple[float, float] | None]
VOCODER: Sequence[Panel] = (
    ("mel loss and validation", (("train", "generator/losses.mel"), ("validation", "mel_distance")), (0.0, 1.9)),
    ("discriminators' total", (("train", "discriminator/total"),), (0.0, 9.0)),
    ("share of items they win", (("train", "discriminator/win_rate"),), (0.0, 1.05)),
)
LATENT: Sequence[Panel] = (
    ("discriminators' total", (("train", "discriminator/total"),), (-60.0, 130.0)),
    ("variety of fakes, as a share of real ones", (("train", "monitors.collapse/diversity"),), (0.0, 1.6)),
    ("share of items they win", (("train", "discriminator/win_rate"),), (0.0, 1.05)),
)
PICTURES: Mapping[str, Sequence[Panel]] = {
    "healthy": VOCODER,
    "won": VOCODER,
    "overfitting": VOCODER,
    "collapse": LATENT,
}
#: Drawn is the running mean over one of so many parts of a run, with the reports themselves in a lighter tone behind it.
PARTS = 12


def main() -> None:
    """Draws a picture for each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=Path, required=True, help="folder with an experiment for each picture")
    parser.add_argument("--output", type=Path, default=ASSETS, help="folder for the pictures (docs/assets)")
    given = parser.parse_args()
    for name, panels in PICTURES.items():
        target = given.output / f"curves-{name}.png"
        draw(given.runs / name / "logs", panels, target)
        print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


def draw(logs: Path, panels: Sequence[Panel], target: Path) -> None:
    """Draws the curves of a run side by side into a PNG file.

    Raises:
        FileNotFoundError: if the run has no curves.
    """
    rows = {name: read_curves(logs / f"{name}.jsonl") for name in ("train", "validation")}
    if not rows["train"]:
        raise FileNotFoundError(f"{logs / 'train.jsonl'}: no curves; make the run first, as the page says")
    figure, axes = pyplot.subplots(1, len(panels), figsize=(10, 2.7), dpi=80, layout="constrained")
    for axis, (title, curves, limits) in zip(axes, panels, strict=True):
        for file, name in curves:
            add(axis, rows[file], name, smooth=file == "train")
        axis.set(title=title, xlabel="step", ylim=limits)
        axis.title.set_fontsize(10)
        axis.grid(alpha=0.3)
        if len(curves) > 1:
            axis.legend(fontsize=7)
    figure.savefig(target, metadata={"Software": None}, pil_kwargs={"optimize": True})
    pyplot.close(figure)


def add(axis: Axes, rows: Sequence[CurveRow], name: str, smooth: bool) -> None:
    """Draws a curve; reports without a finite value of it are left out."""
    points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
    steps, values = [step for step, _ in points], [float(value or 0.0) for _, value in points]
    if not smooth:
        axis.plot(steps, values, marker="o", markersize=3, label=name)
        return
    half = len(values) // PARTS // 2
    around = [values[max(0, place - half) : place + half + 1] for place in range(len(values))]
    line = axis.plot(steps, [sum(each) / len(each) for each in around], label=name)[0]
    axis.plot(steps, values, alpha=0.25, linewidth=0.8, color=line.get_color())


if __name__ == "__main__":
    main()
