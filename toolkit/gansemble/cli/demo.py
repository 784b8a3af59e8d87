"""``demo``: a page on this machine that demonstrates a trained generator."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from gansemble.cli.options import PATH, finite
from gansemble.cli.terminal import say, tell

#: How long jobs may take to end [s].
PATIENCE = 3.0


@click.command()
@click.argument("exp", type=PATH)
@click.option("--port", type=click.IntRange(0, 65_535), default=8050, show_default=True, help="0: any free one.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="0.0.0.0 lets other machines in, where browsers give the page no microphone.",
)
@click.option(
    "--open/--no-browser", "show", default=False, help="Open the page in this machine's browser (default: do not)."
)
@click.option("--checkpoint", type=click.Choice(["best", "last"]), default="best", show_default=True)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 600),
    callback=finite,
    default=60.0,
    show_default=True,
    help="How much of a recording is taken, from its beginning.",
)
def demo(exp: Path, port: int, host: str, show: bool, checkpoint: str, seconds: float) -> None:
    """Show a page that demonstrates the generator of experiment EXP to browsers of this machine, until Ctrl-C.

    A vocoder or an enhancer is given a recording, a file or a held-out clip, and is heard beside it; of a generator that makes clips of its
    own, latent vectors are moved. The page tells what is on record of the model, loads nothing from a network, and nothing
    that is given to it is kept.
    """
    from gansemble.demo import page
    from gansemble.demo.demonstration import Demonstration
    from gansemble.demo.serving import LARGEST, Server

    shown = Demonstration.of(exp, checkpoint, seconds, lambda text: tell(_warning(text)))
    files = page.files(shown, LARGEST, lambda text: tell(_warning(text)))
    with Server(shown, files, host, port) as server:
        if not server.local:
            tell(
                f"warning: whoever reaches this machine and learns the address can use the generator, as --host is {host}; nothing is "
                "encrypted, and browsers of other machines give the page no microphone (ssh -L brings the port to a machine of yours instead)"
            )
        say(f"{server.address} demonstrates {shown.trained.recipe.name}, step {shown.trained.step:,}; Ctrl-C ends it")
        sys.stdout.flush()  # whoever started it, such as a script, waits for the address
        if show:
            _open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("\nended; the page does not answer any more")
            if not server.end(PATIENCE):
                _leave()


def _leave() -> None:
    """Ends the process at once: Python's own end would take from under a thread that still computes what it computes with."""
    sys.stdout.flush()
    os._exit(0)


def _warning(text: str) -> str:
    return text if text.startswith("warning: ") else f"warning: {text}"


def _open(address: str) -> None:
    import webbrowser

    if not webbrowser.open(address):
        tell("warning: no browser could be opened here; open the address above yourself")
