"""``export``: writes a trained generator to a file that runs without the toolkit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gansemble.cli.input_files import expand
from gansemble.cli.options import PATH
from gansemble.cli.terminal import printable, say

if TYPE_CHECKING:
    from gansemble.exporting.writing import Exported, Format


@click.command()
@click.argument("exp", type=PATH)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["onnx", "torchscript", "safetensors"]),
    default="onnx",
    show_default=True,
    help="ONNX, TorchScript, or the weights alone.",
)
@click.option(
    "--checkpoint",
    type=click.Choice(["best", "last"]),
    default="best",
    show_default=True,
    help="Which checkpoint of the experiment.",
)
@click.option("--opset", type=click.IntRange(1, 99), help="Of ONNX (default: the least that works, 18).")
@click.option("--output", type=PATH, help="The file (default: EXP/export/ with the experiment's name).")
@click.option("--licence", metavar="NAME", help="Of the model, for the metadata, such as cc-by-4.0 (default: unknown).")
@click.option(
    "--stream",
    "block",
    type=click.IntRange(1, 10_000_000),
    metavar="BLOCK",
    help="A graph that makes BLOCK frames (samples, for enhancement) at a time, with what it keeps as inputs and outputs.",
)
@click.option(
    "--label", metavar="NAME", help="With --stream: of a generator that reads one; it becomes part of the graph."
)
@click.option(
    "--int8",
    "recordings",
    type=PATH,
    multiple=True,
    metavar="RECORDINGS",
    help="Round learnt layers to 8 bits, by these recordings (a file or a folder; 16 of them at most): faster on CPUs, with a loss "
    "that is measured and told. ONNX, of generators that read recordings.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
def export(
    exp: Path,
    format_: Format,
    checkpoint: str,
    opset: int | None,
    output: Path | None,
    licence: str | None,
    block: int | None,
    label: str | None,
    recordings: tuple[Path, ...],
    overwrite: bool,
) -> None:
    """Write the generator of the experiment EXP to one file: for any length, with audio as its output and the audio
    specification in its metadata. Such an ONNX file is run by gansemble synthesise --onnx without torch, and by ONNX
    Runtime in any language.

    The file is compared with torch at several lengths first; if a sample differs by more than 1e-4, nothing is written.
    """
    if block is not None:
        if recordings:
            raise click.UsageError("--int8 is for files of whole recordings; leave --stream out, or --int8")
        _export_stream(exp, format_, checkpoint, opset, output, licence, block, label, overwrite)
        return
    if label is not None:
        raise click.UsageError("--label goes with --stream BLOCK: other files read the label as an input")
    from gansemble.exporting import writing

    int8 = [found for path in recordings for found, _ in expand(path)] if recordings else None
    name = f"{exp.resolve().name}{writing.SUFFIXES[format_]}"
    path = exp / "export" / name if output is None else output
    made = writing.export(
        exp, path, format=format_, which=checkpoint, opset=opset, overwrite=overwrite, licence=licence, int8=int8
    )
    _tell(made)


def _export_stream(
    exp: Path,
    format_: Format,
    checkpoint: str,
    opset: int | None,
    output: Path | None,
    licence: str | None,
    block: int,
    label: str | None,
    overwrite: bool,
) -> None:
    """Writes a streaming graph, and prints how late it is.

    Raises:
        UsageError: for a format or a licence, which such a graph has not.
    """
    if format_ != "onnx" or licence is not None:
        wrong = "--licence" if format_ == "onnx" else f"--format {format_}"
        raise click.UsageError(f"--stream writes an ONNX graph of one block, without {wrong}; leave that out")
    from gansemble.exporting.graph import OLDEST_OPSET
    from gansemble.live.graph import streaming_graph
    from gansemble.live.runner import GraphStream

    path = exp / "export" / f"{exp.resolve().name}-stream.onnx" if output is None else output
    streaming_graph(exp, path, block, label, checkpoint, opset or OLDEST_OPSET, overwrite)
    facts = GraphStream(path).facts
    say(
        f"{printable(str(path))}: {path.stat().st_size / 1e6:.1f} MB; blocks of {facts['block']}, latency "
        f"{1000 * facts['latency_seconds']:.1f} ms, of it look-ahead {1000 * facts['look_ahead_seconds']:.1f} ms"
    )


def _tell(made: Exported) -> None:
    """Prints what was written, and what the file reads and makes."""
    facts = made.facts
    output = facts.get("output")
    if isinstance(output, dict) and "why" in output:
        click.echo(f"warning: the file makes items of {output['domain']}, no audio: {output['why']}", err=True)
    if "opset" in facts:
        say(f"opset {facts['opset']}")
    megabytes = made.path.stat().st_size / 1e6
    say(f"{printable(str(made.path))}: {megabytes:.1f} MB, made in {made.seconds:.1f} s; {made.comparison}")
