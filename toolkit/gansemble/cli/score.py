"""``score`` and ``metric-card``: scores of any folders of audio, and what else those scores depend on."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gansemble.cli.each_file import stoppable
from gansemble.cli.options import PATH, default_jobs, finite, jobs_option, set_option, writable_folder
from gansemble.cli.terminal import printable, say
from gansemble.errors import GansembleError

if TYPE_CHECKING:
    from gansemble.suite.columns import Asked
    from gansemble.suite.signals import Channels, Lengths
    from gansemble.suite.summary import Results

#: The reference of metrics that need none.
NONE = "none"
LENGTHS: dict[str, Lengths] = {"keep": "as they are", "cut": "cut", "pad": "pad"}
metrics_option = click.option(
    "--metrics",
    metavar="NAMES",
    multiple=True,
    help="Metrics, separated by commas (default: the quick ones); gansemble plugins list --kind metric shows all.",
)


@click.command()
@click.argument("reference", metavar="REFERENCE")
@click.argument("estimates", nargs=-1, required=True, metavar="[NAME=]ESTIMATE…")
@metrics_option
@click.option("--config", type=PATH, help="YAML file with a section metrics, as a recipe has it.")
@set_option
@click.option("--output", type=PATH, default=Path("scores"), show_default=True, help="Folder for tables and the page.")
@click.option(
    "--rate",
    type=click.IntRange(500, 1_600_000),
    metavar="HZ",
    help="Score at this rate; needed where files have several.",
)
@click.option(
    "--lengths",
    type=click.Choice(list(LENGTHS)),
    default="keep",
    show_default=True,
    help="Of signals that differ: keep (up to 1,024 samples are cut, more has no score), cut to the shorter, or pad the estimate.",
)
@click.option(
    "--channels",
    type=click.Choice(["mono", "mix", "first"]),
    default="mono",
    show_default=True,
    help="Of files with several: refuse them, take their mean, or the first.",
)
@click.option(
    "--strip",
    default="",
    metavar="TEXT",
    help="End of the estimates' names that is not part of the clip's, such as _generated.",
)
@jobs_option
@click.option(
    "--timeout",
    type=click.FloatRange(1, 1e6),
    callback=finite,
    metavar="S",
    help="Longest time of a metric for a file [s] (default: 300, or 60 for each second of audio; of sets 600, or 5).",
)
@click.option("--retry", is_flag=True, help="Compute again what crashed, hung or was killed the last time.")
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 0.9999),
    callback=finite,
    default=0.95,
    show_default=True,
    help="Of the intervals.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 if any clip or set has no value for a score.")
def score(
    reference: str,
    estimates: tuple[str, ...],
    metrics: tuple[str, ...],
    config: Path | None,
    overrides: tuple[str, ...],
    output: Path,
    rate: int | None,
    lengths: str,
    channels: Channels,
    strip: str,
    jobs: int | None,
    timeout: float | None,
    retry: bool,
    confidence: float,
    strict: bool,
) -> None:
    """Score folders of audio against a folder of references, whoever made them.

    Files belong together by their names, suffixes apart. REFERENCE and ESTIMATE may be two files as well; a REFERENCE of "none"
    is for metrics that need none. Rows are written as they come: the same command again goes on where it was interrupted.

    \b
    gansemble score recordings/ vocoder-a/ vocoder-b/ --metrics pesq,stoi
    gansemble score recordings/ old=run1/out new=run2/out --metrics pesq --set metrics.pesq.mode=nb
    """
    from gansemble.suite import page, tables
    from gansemble.suite.matching import named
    from gansemble.suite.run import Request, score_folders
    from gansemble.suite.summary import Results

    request = Request(
        None if reference == NONE else Path(reference),
        named(estimates),
        _asked(metrics, config, overrides),
        rate,
        LENGTHS[lengths],
        channels,
        strip,
        default_jobs(jobs),
        timeout,
        retry,
        output,
    )
    writable_folder(output)
    kept = f"the rows so far are in {printable(str(output))}; the same command again goes on with the rest"
    with stoppable(kept), _bar() as progress:
        scored = score_folders(request, say, progress)
    results = Results(scored, confidence=confidence)
    tables.write(results, output)
    page.write(results, output / "index.html")
    for line in (
        *tables.lines(results, shutil.get_terminal_size().columns),
        *(f"no score: {line}" for line in tables.troubles(results)),
    ):
        say(line)
    say(f"open {output / 'index.html'}")
    _demand_whole(results, strict)


def _demand_whole(results: Results, strict: bool) -> None:
    """Ends the command with an error if scores are missing by accident, or by whatever reason if ``strict``."""
    scored = results.scored
    if scored.accidents:
        raise GansembleError(
            f"{len(scored.accidents)} of {len(scored.rows)} scores ended in an accident, as said above; "
            "the same command with --retry computes them again"
        )
    lacking = any(results.common(key) != list(scored.ids) for key in results.keys)
    empty = any(math.isnan(results.set_value(name, key).value) for name in results.systems for key in results.set_keys)
    if strict and (lacking or empty):
        what = "some clips have" if lacking else "some sets have"
        raise GansembleError(f"{what} no value, as said above, and --strict is on")


def _asked(metrics: tuple[str, ...], config: Path | None, overrides: tuple[str, ...]) -> Asked:
    from gansemble.suite.columns import Asked

    names = tuple(dict.fromkeys(name.strip() for text in metrics for name in text.split(",") if name.strip()))
    if metrics and not names:
        raise GansembleError("--metrics: names no metric; gansemble plugins list --kind metric shows them")
    return Asked(names, config, overrides)


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress

    with Progress(transient=True) as progress:
        task = progress.add_task("scoring", total=None)
        yield lambda made, total: progress.update(task, completed=made, total=total)


@click.command("metric-card")
@click.argument("names", nargs=-1, metavar="METRICS…")
@click.option(
    "--audio",
    type=PATH,
    help="Folder of recordings to measure on; without it, the cards that the plugins ship are shown.",
)
@click.option("--clips", type=click.IntRange(2, 10_000), default=16, show_default=True, help="How many of them.")
@click.option(
    "--rate",
    type=click.IntRange(500, 1_600_000),
    metavar="HZ",
    default=22050,
    show_default=True,
    help="Sample rate to measure at.",
)
@click.option("--config", type=PATH, help="YAML file with a section metrics.")
@set_option
@click.option("--output", type=PATH, help="Folder for <metric>.json; a plugin ships it as its folder cards.")
def metric_card(
    names: tuple[str, ...],
    audio: Path | None,
    clips: int,
    rate: int,
    config: Path | None,
    overrides: tuple[str, ...],
    output: Path | None,
) -> None:
    """Show or measure integrity cards: how much a score moves with gain, delay, rounding, rate, silence, length, number of clips.

    \b
    gansemble metric-card pesq stoi                                  # as the plugin ships it
    gansemble metric-card pesq --audio recordings/ --output cards/   # measured anew
    """
    from gansemble.scoring import cards
    from gansemble.suite import measuring
    from gansemble.suite.columns import Asked, Metrics
    from gansemble.suite.signals import Reading

    found = Metrics(Asked(names, config, overrides), Reading(rate))
    if output is not None:
        writable_folder(output)
    sounds = measuring.clips_of(audio, rate, clips) if audio is not None else []
    for name, part in found.parts.items():
        shown = [measuring.measure(found, name, sounds, audio.name)] if audio is not None else cards.shipped(part.entry)
        if not shown:
            say(f"{name}: its plugin ships no card; --audio FOLDER measures one")
        for card in shown:
            say(f"{name} [{card['hash']}]: {card['definition']}")
            say(
                f"measured on {card['clips']} clips of {card['audio']}, {card['sample_rate']} Hz, {card['measured']['date']}"
            )
            for key, each in card["keys"].items():
                for line in cards.lines(key, each):
                    say(line)
        if output is not None and audio is not None:
            _add(output / f"{part.entry.name}.json", shown, part.entry)


def _add(path: Path, measured: list, entry: object) -> None:  # type: ignore[type-arg]
    """Adds cards to a file of them; one of the same definition is replaced."""
    from gansemble.files import write_atomically
    from gansemble.scoring.cards import Card
    from gansemble.stages import json_files

    there = json_files.read(path, list[Card], "move it away") if path.is_file() else []
    hashes = {card["hash"] for card in measured}
    kept = [card for card in there if card["hash"] not in hashes]
    write_atomically(path, json.dumps([*kept, *measured], indent=1) + "\n")
    say(f"wrote {path}")
