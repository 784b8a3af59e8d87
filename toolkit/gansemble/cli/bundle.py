"""``bundle``, ``push`` and ``pull``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from gansemble.cli.options import PATH
from gansemble.cli.terminal import say

if TYPE_CHECKING:
    from gansemble.bundle.sealed import Bundle
    from gansemble.publishing.making import Part

_CHECKPOINT = click.option(
    "--checkpoint",
    type=click.Choice(["best", "last"]),
    default="best",
    show_default=True,
    help="Which one goes into it.",
)
_LICENCE = click.option(
    "--licence",
    metavar="NAME",
    help="Of the model, as you state it: an identifier of the hub's, such as cc-by-4.0, or a name.",
)
_DATA_LICENCE = click.option(
    "--data-licence", metavar="TEXT", help="Of the training data, in words (default: what the recipe's corpus states)."
)


@click.command()
@click.argument("exp", type=PATH, metavar="EXP")
@click.option("--output", type=PATH, required=True, help="Folder of the bundle, new or empty.")
@_CHECKPOINT
@click.option(
    "--without",
    type=click.Choice(["discriminators", "optimisers", "scores", "samples"]),
    multiple=True,
    help="Leave this out; may be repeated. Without discriminators or optimisers others cannot fine-tune as you could.",
)
@_LICENCE
@_DATA_LICENCE
@click.option(
    "--samples", type=click.IntRange(0, 99), default=4, show_default=True, help="How many generated clips, at most."
)
def bundle(
    exp: Path,
    output: Path,
    checkpoint: Literal["best", "last"],
    without: tuple[Part, ...],
    licence: str | None,
    data_licence: str | None,
    samples: int,
) -> None:
    """Make one folder of the experiment EXP that others can use and fine-tune: networks, discriminators, averages, optimisers,
    recipe, scores, samples, licences and a model card, in safetensors, JSON and text, with a hash of every file."""
    from gansemble.publishing import making

    options = making.BundleOptions(checkpoint, without, licence, data_licence, samples)
    made = making.make(exp, output, options, say)
    say(told(made))
    if licence is None:
        say("it states no licence of the model: --licence NAME states one, and nothing is pushed without")


@click.command()
@click.argument("source", type=PATH, metavar="BUNDLE|EXP")
@click.argument("repository", metavar="USER/NAME")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option(
    "--revision", metavar="BRANCH", help="Push to this branch, which is made if there is none (default: main)."
)
@_CHECKPOINT
@_LICENCE
@_DATA_LICENCE
def push(
    source: Path,
    repository: str,
    private: bool,
    revision: str | None,
    checkpoint: Literal["best", "last"],
    licence: str | None,
    data_licence: str | None,
) -> None:
    """Put a bundle, or a bundle made of an experiment, on the Hugging Face hub, in one commit.

    The bundle is verified first, and replaces the one that is there. The token is that of hf auth login, or HF_TOKEN; the hub
    is the one that HF_ENDPOINT names.
    """
    from gansemble.bundle import layout, sealed
    from gansemble.publishing import hub, licences, making

    hub.demand_name(repository)
    hub.demand_token()
    with tempfile.TemporaryDirectory(prefix="gansemble-bundle-") as place:
        if not layout.is_bundle(source):
            options = making.BundleOptions(checkpoint, (), licence, data_licence)
            ready = making.make(source, Path(place) / "bundle", options, say)
        else:
            if data_licence is not None:
                raise click.UsageError(
                    "--data-licence is for an experiment; make the bundle anew with gansemble bundle EXP --data-licence TEXT"
                )
            ready = sealed.verify(source)
            if licence is not None:
                ready = licences.relicensed(ready, Path(place) / "bundle", licence)
        address = hub.push(ready, repository, private, revision)
    say(told(ready))
    say(f"pushed to {address}; fetch it with gansemble pull {repository}")


@click.command()
@click.argument("repository", metavar="USER/NAME")
@click.option("--output", type=PATH, help="Folder for the bundle, new or empty (default: NAME, here).")
@click.option("--revision", help="A branch, tag or commit (default: main).")
def pull(repository: str, output: Path | None, revision: str | None) -> None:
    """Fetch a bundle from the Hugging Face hub; it appears only when every file is there and has the hash stated.

    An interrupted command goes on when it is given again. The hub is the one that HF_ENDPOINT names.
    """
    from gansemble.publishing import hub
    from gansemble.recipe.task import Task

    hub.demand_name(repository)
    place = output or Path(repository.rpartition("/")[2])
    found = hub.pull(repository, place, revision, say)
    say(told(found))
    missing = found.facts.get("plugins", {})
    if missing:
        listed = ", ".join(f"{name} ({how or 'it is not said how to get it'})" for name, how in missing.items())
        say(f"its recipe needs plugins: {listed}")
    task = next((each for each in Task if str(each) == found.facts["task"]), None)
    say(f"use it with {task.command(place)}" if task else f"use it with gansemble.load({str(place)!r})")


def told(found: Bundle) -> str:
    """A bundle in two lines."""
    facts, data = found.facts, found.facts["data"]
    size = found.bytes / 1e6
    whose = data["licence"] or ("none, it was a stand-in" if data["stand_in"] else "unknown")
    return (
        f"{found.folder}: {facts['name']} at step {facts['step']:,}, {len(facts['files'])} files, {size:,.1f} MB: {', '.join(facts['holds'])}\n"
        f"licence of the model: {facts['licence'] or 'not stated'}; of the training data ({data['corpus']}): {whose}"
    )
