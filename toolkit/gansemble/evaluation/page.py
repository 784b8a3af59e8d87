"""The pieces of the report page as HTML: tables, players, spectrograms and curves, all embedded in one file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gansemble.audio import files
from gansemble.audio.spec import AudioSpec
from gansemble.data.packed import Packed
from gansemble.errors import GansembleError
from gansemble.evaluation import index, records
from gansemble.evaluation.index import BASELINES, Index, folder_of
from gansemble.evaluation.layout import PAGE
from gansemble.evaluation.records import FileRow, ScoreRow, ScoresSummary
from gansemble.recipe.sections import Evaluation
from gansemble.scoring.curves import CurveRow, points, read_curves
from gansemble.scoring.statistics import common, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GREYS = ("#9ca3af", "#6b7280", "#d1d5db", "#374151")
COLOURS = (
    *("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#0891b2"),
    *("#65a30d", "#dc2626", "#4b5563", "#c026d3", "#0d9488", "#92400e"),
)


@dataclass
class System:
    """One experiment, or one baseline of it, as the page shows it.

    Args:
        name: as displayed.
        exp: the experiment folder.
        index: of its generated clips.
        summary: its scores over all clips.
        rows: its scores of each clip, by id.
        colour: as in CSS, which marks it in tables and curves.
        baseline: name of the baseline; None for the trained generator.
    """

    name: str
    exp: Path
    index: Index
    summary: ScoresSummary
    rows: Mapping[str, FileRow]
    colour: str
    baseline: str | None = None

    @property
    def samples(self) -> Path:
        """The folder of its sound files."""
        return folder_of(self.exp, self.index.split, self.baseline or "")

    @property
    def conditions(self) -> list[str]:
        """Names of the test degradations, where there are several; else empty."""
        found = self.index.conditions
        return found if len(found) > 1 else []

    def scores(self, key: str) -> dict[str, float]:
        """Values of one score by the id of the clip; NaN where it has none."""
        return {name: _nan(row["scores"].get(key)) for name, row in self.rows.items()}

    def under(self, condition: str) -> System:
        """The same system with the scores of one test degradation only."""
        chosen = {clip.id for clip in self.index.clips if clip.condition == condition}
        return replace(self, rows={name: row for name, row in self.rows.items() if name in chosen})


def system_of(exp: Path, number: int = 0) -> System:
    """Reads an evaluated experiment; ``number`` chooses its colour.

    Raises:
        GansembleError: if it has not been evaluated, or its files are damaged.
    """
    for path in (exp / "samples" / "index.json", exp / "scores" / "summary.json", exp / "scores" / "scores.jsonl"):
        if not path.is_file():
            raise GansembleError(f"{exp}: not evaluated yet ({path} is missing); run its stages 4 and 5 first")
    summary = records.summary(exp)
    rows = records.rows(exp / "scores" / "scores.jsonl")
    return System(summary["name"], exp, index.read(exp), summary, rows, COLOURS[number % len(COLOURS)])


def baselines_of(system: System) -> list[System]:
    """The baselines of an experiment as systems of their own, in shades of grey."""
    found: list[System] = []
    for name in system.index.baselines:
        rows = records.rows(system.exp / "scores" / BASELINES / f"{name}.jsonl")
        summary: ScoresSummary = {**system.summary, "scores": system.summary["baselines"][name]["scores"]}
        found.append(
            replace(system, name=name, rows=rows, summary=summary, colour=GREYS[len(found) % 4], baseline=name)
        )
    return found


def table(systems: Sequence[System], settings: Evaluation) -> str:
    """A table of scores of clips by row and systems by column, as HTML; those of whole sets are in :func:`set_table`.

    Each row averages over those files for which every system in it has a value, so that the columns can be compared.
    """
    keys = [key for key in _keys(systems) if not _of_set(systems, key)]
    head = "".join(f"<th>{dot(system)}{html.escape(system.name)}</th>" for system in systems)
    rows = []
    for key in keys:
        facts = next(system.summary["scores"][key] for system in systems if key in system.summary["scores"])
        better = facts["better"]
        owners = [i for i, system in enumerate(systems) if key in system.summary["scores"]]
        # A score of another definition is not put beside this one.
        others = [i for i in owners if not records.comparable(facts, systems[i].summary["scores"][key])]
        having = {i: systems[i].scores(key) for i in owners if i not in others}
        shared = common({str(place): values for place, values in having.items()})
        cells, means = [], []
        for place in range(len(systems)):
            values = [having[place][name] for name in shared] if place in having else []
            means.append(summarise(values, settings.bootstrap, settings.confidence))
        good = [m.mean for m in means if m.n_ok]
        best = (max if better == "higher" else min)(good) if good else None
        for place, (system, mean) in enumerate(zip(systems, means, strict=True)):
            total = len(system.rows)
            mark = " class=best" if len(systems) > 1 and mean.n_ok and mean.mean == best else ""
            interval = f"<small>{_number(mean.low)} … {_number(mean.high)}</small>" if mean.low == mean.low else ""
            count = f"<small>{mean.n_ok} of {total} files</small>" if mean.n_ok < total else ""
            count = "<small>another definition</small>" if place in others else count
            cells.append(f"<td{mark}>{_number(mean.mean)}{interval}{count}</td>" if mean.n_ok else f"<td>–{count}</td>")
        arrow = "↑" if better == "higher" else "↓"
        title = html.escape(facts["definition"])
        rows.append(f'<tr><th title="{title}">{html.escape(key)} {arrow}</th>{"".join(cells)}</tr>')
    note = f"<p class=note>Mean over the files every system has a value for, with a {100 * settings.confidence:g} % bootstrap interval; ↑ higher is better, ↓ lower. "
    note += "Hold the pointer over a score for its exact definition.</p>"
    return f"<table class=scores><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{note}"


def clip(
    identity: str, systems: Sequence[System], packed: Packed, spec: AudioSpec, seconds: float | None = None
) -> str:
    """The reference recording and each system's version of one clip, with players and spectrograms, as HTML.

    All spectrograms share the colour scale of the reference.

    Args:
        identity: id of the generated clip.
        systems: those that are shown; one without this clip is left out.
        packed: holds the reference.
        spec: gives the sample rate and the spectrogram.
        seconds: of a longer clip only the middle of this length is shown [s]; None shows all of it.
    """
    clip_of = {clip.id: clip.clip for clip in systems[0].index.clips}
    number = next(i for i, entry in enumerate(packed.entries) if entry.id == clip_of[identity])
    reference = packed.read(number)
    length = len(reference)
    reference = _middle(reference, length, spec, seconds)
    loudest = top(reference, spec)
    columns: list[tuple[str, np.ndarray, System | None]] = [("reference", reference, None)]
    for system in systems:
        sound = next((clip.sound for clip in system.index.clips if clip.id == identity), None)
        if sound is not None and identity in system.rows and (system.samples / sound).is_file():
            made = files.read_mono(system.samples / sound, spec.sample_rate)
            columns.append((system.name, _middle(made, length, spec, seconds), system))
    cells = []
    for name, audio, owner in columns:
        caption = f"{dot(owner) if owner else ''}{html.escape(name)}"
        shown = "" if len(reference) == length else f"{len(reference) / spec.sample_rate:g} s from the middle of "
        scores = _clip_scores(owner, identity) if owner else f"{shown}{length / spec.sample_rate:.2f} s"
        picture = f'<img alt="spectrogram of {html.escape(name)}" src="{spectrogram(audio, spec, loudest)}">'
        cells.append(
            f"<figure><figcaption title='{html.escape(name)}'>{caption}<small>{scores}</small></figcaption>{picture}{player(audio, spec.sample_rate)}</figure>"
        )
    return f"<section><h3>{html.escape(identity)}</h3><div class=row>{''.join(cells)}</div></section>"


def _middle(audio: np.ndarray, length: int, spec: AudioSpec, seconds: float | None) -> np.ndarray:
    """The middle of a clip; the place follows from the reference's ``length`` [samples], so it is the same for all."""
    wanted = length if seconds is None else min(length, int(seconds * spec.sample_rate))
    first = (length - wanted) // 2
    return audio[first : first + wanted]


def _keys(systems: Sequence[System]) -> list[str]:
    return list(dict.fromkeys(key for system in systems for key in system.summary["scores"]))


def _of_set(systems: Sequence[System], key: str) -> bool:
    rows = [system.summary["scores"].get(key) for system in systems]
    return any(row is not None and row.get("of_set", False) for row in rows)


def set_table(systems: Sequence[System], marked: bool = False) -> str:
    """A table of the scores of whole sets by row, and systems and sets of real clips by column, as HTML.

    Args:
        systems: to show.
        marked: show those scores only that say that they are of sets, and nothing at all where there are none; else all.
    """
    keys = [key for key in _keys(systems) if not marked or _of_set(systems, key)]
    if marked and not keys:
        return ""
    if not keys:
        return "<p class=note>This recipe has no metric of whole sets.</p>"
    anchors = systems[0].summary.get("anchors", {})
    head = "".join(f"<th>{dot(system)}{html.escape(system.name)}</th>" for system in systems)
    head += "".join(f"<th>real: {html.escape(name)}</th>" for name in anchors)
    rows = []
    for key in keys:
        ours = [system.summary["scores"].get(key) for system in systems]
        facts = next(each for each in ours if each)
        # Sets of real clips may be of another size, which stands below each value; systems of another definition are left out.
        ours = [each if each and records.comparable(facts, each) else None for each in ours]
        found = [*ours, *(each.get(key) for each in anchors.values())]
        cells = [
            "<td>–</td>"
            if not each or each["mean"] is None
            else f"<td>{_number(each['mean'])}{_bounds(each)}<small>{each['n_ok']} clips</small></td>"
            for each in found
        ]
        arrow, title = "↑" if facts["better"] == "higher" else "↓", html.escape(_set_title(facts))
        rows.append(f'<tr><th title="{title}">{html.escape(key)} {arrow}</th>{"".join(cells)}</tr>')
    note = "<p class=note>Each score is of a whole set against the held-out clips"
    note += "; real clips are scored in the same way, beside what was generated" if anchors else ""
    note += ". Hold the pointer over a score for its exact definition.</p>"
    return f"<table class=scores><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{note}"


def _bounds(row: ScoreRow) -> str:
    """The confidence interval of a set's score as HTML; empty where it has none."""
    low, high = row["low"], row["high"]
    return "" if low is None or high is None else f"<small>{_number(low)} … {_number(high)}</small>"


def _set_title(row: ScoreRow) -> str:
    """The text shown when the pointer is over a set's score: its definition, and what its interval covers."""
    return row["definition"] + (f"; interval: {row['interval']}" if row.get("interval") else "")


def _number(value: float) -> str:
    """A number with three decimals, or with two significant digits where these would show only zeros."""
    # 0.0005 is the smallest magnitude that three decimals round to 0.001 and not to 0.
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.0005 else f"{value:.1e}"


def _clip_scores(system: System, identity: str) -> str:
    row = system.rows.get(identity)
    scores = row["scores"].items() if row is not None else ()
    shown = [f"{key} {value:.2f}" for key, value in scores if value is not None][:3]
    return " · ".join(shown)


def player(audio: np.ndarray, rate: int) -> str:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(audio, -1, 1), rate, format="WAV", subtype="PCM_16")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<audio controls preload="none" src="data:audio/wav;base64,{data}"></audio>'


def _levels(audio: np.ndarray, spec: AudioSpec) -> np.ndarray:
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
    return float(_levels(audio, spec).max())


def spectrogram(audio: np.ndarray, spec: AudioSpec, top: float) -> str:
    """A spectrogram as the data URL of a PNG.

    Args:
        audio: samples [T].
        spec: gives the sample rate and the short-time Fourier transform.
        top: level with the brightest colour [dB]; the darkest is 80 dB below.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 1.9), dpi=110, layout="constrained")
    axes = figure.subplots()
    extent = (0, len(audio) / spec.sample_rate, 0, spec.sample_rate / 2000)  # [s], [s], [kHz], [kHz]: to rate / 2
    axes.imshow(
        _levels(audio, spec),
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=top - 80,
        vmax=top,
        extent=extent,
        interpolation="nearest",
    )
    axes.set_ylabel("kHz", fontsize=7)
    axes.set_xlabel("s", fontsize=7, labelpad=0)
    axes.tick_params(labelsize=7, length=2)
    return png(figure)


def png(figure: Figure) -> str:
    """A figure as the data URL of a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def curves(systems: Sequence[System]) -> str:
    """Small plots of all validation scores and of selected training curves over steps, as HTML."""
    from matplotlib.figure import Figure

    logs = [
        (
            system,
            read_curves(system.exp / "logs" / "validation.jsonl"),
            read_curves(system.exp / "logs" / "train.jsonl"),
        )
        for system in systems
    ]
    valid = list(dict.fromkeys(key for _, rows, _ in logs for row in rows for key in row if key != "step"))
    train = [name for name in _telling(row for _, _, rows in logs for row in rows)]
    panels = [(name, 1) for name in valid] + [(name, 2) for name in train]
    if not panels:
        return "<p class=note>No training curves: this experiment was imported.</p>"
    columns = 3
    lines = -(-len(panels) // columns)  # rounded up
    figure = Figure(figsize=(12, 2.5 * lines), dpi=100, layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False).flat
    for axes in grid:
        axes.set_visible(False)
    for axes, (name, source) in zip(figure.axes, panels, strict=False):
        axes.set_visible(True)
        for entry in logs:
            rows = entry[1] if source == 1 else entry[2]
            shown = points(rows, name)
            if shown:
                axes.plot(
                    *zip(*shown, strict=True),
                    color=entry[0].colour,
                    linewidth=1.3,
                    marker="o" if source == 1 else None,
                    markersize=2.5,
                )
        axes.set_title(
            ("validation: " if source == 1 else "") + name.replace("generator/losses.", "loss: "), fontsize=8
        )
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25)
        axes.margins(x=0.02)
    return f'<img class=wide alt="training curves over steps" src="{png(figure)}"><p class=note>Horizontal axis: training steps.</p>'


def _telling(rows: Iterable[CurveRow]) -> list[str]:
    names = dict.fromkeys(key for row in rows for key in row)
    wanted = [
        n
        for n in names
        if n.startswith(("generator/losses.", "noise_injector/"))
        or n in ("generator/total", "discriminator/total", "discriminator/win_rate", "speed/steps_per_second")
    ]
    return wanted


def environment(facts: Mapping[str, object]) -> str:
    """Versions and machine as a table that is folded at first, as HTML."""
    rows = "".join(
        f"<tr><th>{html.escape(key)}</th><td>{html.escape(str(value))}</td></tr>" for key, value in facts.items()
    )
    return f"<details><summary>The environment</summary><table>{rows}</table></details>"


def dot(system: System) -> str:
    """A dot in the colour of a system, as HTML."""
    return f'<i class=dot style="background:{system.colour}"></i>'


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value


def assemble(title: str, body: Sequence[str]) -> str:
    """The complete HTML page from its title and the pieces of its body."""
    before, after = PAGE.split("{body}")  # first, as a title may hold the same word
    return before.replace("{title}", html.escape(title)) + "\n".join(body) + after
