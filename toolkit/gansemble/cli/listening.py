"""``listening make``, ``serve`` and ``results``: blinded listening tests of any folders of audio."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gansemble.cli import listening_tables
from gansemble.cli.options import CLIPS, PATH, finite
from gansemble.cli.terminal import say, tell

if TYPE_CHECKING:
    from gansemble.listening.design import Mode, Pairs
    from gansemble.listening.sounds import Levels


@click.group()
def listening() -> None:
    """Blinded listening tests of any folders of audio: made as one page, answered in a browser, evaluated with intervals."""


@listening.command()
@click.argument("reference", metavar="REFERENCE")
@click.argument("estimates", nargs=-1, metavar="ESTIMATE…")
@click.option("--mode", type=click.Choice(["ab", "abx", "mushra"]), required=True, help="What listeners are asked.")
@click.option("--output", type=PATH, required=True, help="New folder for the test.")
@click.option("--trials", type=CLIPS, help="How many trials (default: each comparison of each clip once).")
@click.option("--clips", type=CLIPS, default=10, show_default=True, help="At most so many of the common files, drawn.")
@click.option("--seed", type=click.IntRange(0, 2**53), default=0, show_default=True, help="Of all that is drawn.")
@click.option(
    "--pairs",
    type=click.Choice(["reference", "estimates", "all"]),
    help="AB and ABX: each ESTIMATE with REFERENCE, or each two of them (default for AB of several), or both.",
)
@click.option(
    "--levels",
    type=click.Choice(["none", "rms"]),
    default="none",
    show_default=True,
    help="rms: bring each version to the reference's root mean square.",
)
@click.option(
    "--cut",
    type=click.FloatRange(0.1, 3600),
    callback=finite,
    metavar="SECONDS",
    help="Cut longer clips to this length.",
)
@click.option("--title", default="Listening test", show_default=True, help="Heading of the page.")
@click.option("--question", help="What is asked (default: the mode's question).")
@click.option(
    "--embed",
    type=click.FloatRange(0, 2000),
    callback=finite,
    default=30.0,
    show_default=True,
    metavar="MB",
    help="Largest size of sounds within the page; beyond it they lie beside it.",
)
def make(
    reference: str,
    estimates: tuple[str, ...],
    mode: Mode,
    output: Path,
    trials: int | None,
    clips: int,
    seed: int,
    pairs: Pairs | None,
    levels: Levels,
    cut: float | None,
    title: str,
    question: str | None,
    embed: float,
) -> None:
    """Make a listening test of folders whose files have the same names: REFERENCE and each ESTIMATE, as FOLDER or NAME=FOLDER.

    ab: which of two versions is better. abx: is X the same as A or B. mushra: a grade from 0 to 100 for each version, among
    them the hidden reference and anchors low-passed at 3.5 and 7 kHz (ITU-R BS.1534-3).

    OUTPUT/page is for listeners: it opens from the file, or by `gansemble listening serve OUTPUT`. No name of a system
    is in it; OUTPUT/key.json tells them, and stays with you.
    """
    from gansemble.listening import making, places
    from gansemble.listening.matching import system_of
    from gansemble.listening.options import Options

    options = Options(
        mode=mode,
        trials=trials,
        clips=clips,
        seed=seed,
        pairs=pairs,
        levels=levels,
        cut=cut,
        title=title,
        question=question,
        embed=embed,
    )
    made = making.make(system_of(reference), [system_of(each) for each in estimates], output, options)
    for note in made.notes:
        say(note)
    say(f"{made.page}: {made.trials} trials of {made.clips} clips, {made.size / 1e6:.1f} MB; levels: {_LEVELS[levels]}")
    say(
        f"show it here: gansemble listening serve {output}\nor give listeners {made.page.parent}, and put the files that they send "
        f"back into {output / places.ANSWERS}; keep {output / places.KEY} to yourself"
    )


_LEVELS = {"none": "as in the files", "rms": "aligned to the reference's root mean square"}


@listening.command()
@click.argument("folder", type=PATH)
@click.option("--port", type=click.IntRange(0, 65_535), default=8040, show_default=True, help="0: any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other machines in.")
def serve(folder: Path, port: int, host: str) -> None:
    """Show the test in FOLDER to browsers of this machine, and save answers to FOLDER/answers, until Ctrl-C."""
    from gansemble.listening.serving import Server

    with Server(folder, host, port) as server:
        if not server.local:
            tell(f"warning: whoever reaches this machine can take the test and send answers, as --host is {host}")
        say(
            f"{server.address} shows {server.store.key['title']!r}; answers go to {server.store.folder}; Ctrl-C ends it"
        )
        sys.stdout.flush()  # whoever started it, such as a script, waits for the address
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say(f"\n{len(list(server.store.folder.glob('*.json')))} files of answers in {server.store.folder}")


@listening.command()
@click.argument("folders", type=PATH, nargs=-1, required=True, metavar="FOLDER…")
@click.option("--csv", "csv_file", type=PATH, help="Write all rows to this file, too.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--confidence", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True, callback=finite)
@click.option("--no-screening", is_flag=True, help="MUSHRA: keep listeners whom BS.1534-3 would leave out.")
def results(
    folders: tuple[Path, ...], csv_file: Path | None, as_json: bool, confidence: float, no_screening: bool
) -> None:
    """Evaluate the answers to the tests in FOLDER…: preferences, right answers or grades, with intervals.

    Listeners of MUSHRA who grade the hidden reference below 90, or the 7 kHz anchor above 90, in more than 15 % of their trials
    are left out and named (BS.1534-3).
    """
    from gansemble.files import write_atomically
    from gansemble.listening.answers import collect
    from gansemble.listening.results import evaluate

    found = [evaluate(collect(folder), confidence, not no_screening) for folder in folders]
    if csv_file is not None:
        write_atomically(csv_file, listening_tables.as_csv(found))
    if as_json:
        click.echo(json.dumps([each.as_dict() for each in found], indent=1))
        return
    for folder, each in zip(folders, found, strict=True):
        for line in listening_tables.lines(folder, each):
            say(line)
