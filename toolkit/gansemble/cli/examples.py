"""The examples at the end of each command's ``--help``."""

from __future__ import annotations

import click

#: By the words of the command after ``gansemble``; each line works as it stands in a folder that has these files.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        "gansemble recipes list",
        "gansemble run conf/small.yaml --data recordings/",
        "gansemble status exp/small",
    ),
    "check": (
        "gansemble check conf/small.yaml",
        "gansemble check conf/*.yaml --set plan.steps=1000",
    ),
    "fill": (
        "gansemble fill conf/small.yaml",
        "gansemble fill conf/small.yaml --set plan.segment=16384",
    ),
    "describe": (
        "gansemble describe generator",
        "gansemble describe conf/small.yaml --fast",
        "gansemble describe conf/small.yaml --json",
    ),
    "matrix": (
        "gansemble matrix conf/matrix/losses.yaml --plan",
        "gansemble matrix conf/matrix/losses.yaml --data recordings/",
        "gansemble matrix conf/matrix/losses.yaml --results",
    ),
    "diff": (
        "gansemble diff exp/v1 exp/v2",
        "gansemble diff exp/v1 exp/v2 --json",
    ),
    "plugins": (
        "gansemble plugins list --kind generator",
        "gansemble plugins new mine --kind loss --out plugins/",
        "gansemble plugins doctor",
    ),
    "plugins list": (
        "gansemble plugins list",
        "gansemble plugins list --kind metric",
        "gansemble plugins list --json",
    ),
    "plugins new": (
        "gansemble plugins new mine",
        "gansemble plugins new mine --kind loss --kind metric --out plugins/",
    ),
    "plugins check": (
        "gansemble plugins check mine",
        "gansemble plugins check mine --verbose",
    ),
    "plugins doctor": ("gansemble plugins doctor",),
    "recipes": (
        "gansemble recipes list",
        "gansemble recipes copy ADDRESS my-recipe",
        "gansemble recipes new mine --from ADDRESS",
    ),
    "recipes list": (
        "gansemble recipes list",
        "gansemble recipes list --json",
    ),
    "recipes copy": ("gansemble recipes copy ADDRESS my-recipe",),
    "recipes new": ("gansemble recipes new mine --from ADDRESS --out recipes/",),
    "doctor": ("gansemble doctor",),
    "mini": (
        "gansemble mini conf/mini.yaml --output data/mini",
        "gansemble mini conf/mini.yaml --output data/mini --overwrite",
    ),
    "fetch": (
        "gansemble fetch conf/v1.yaml",
        "gansemble fetch conf/v1.yaml --data /data/corpus --yes",
    ),
    "prepare": (
        "gansemble prepare conf/v1.yaml --jobs 8",
        "gansemble prepare conf/v1.yaml --shard 1/4",
    ),
    "statistics": ("gansemble statistics conf/v1.yaml",),
    "train": (
        "gansemble train conf/v1.yaml",
        "gansemble train conf/v1.yaml --exp exp/slow --set optimisers.generator.lr=1e-5",
        "gansemble train conf/v1.yaml --stop-after 1000",
    ),
    "synthesise": (
        "gansemble synthesise conf/v1.yaml",
        "gansemble synthesise --exp exp/v1 --input recordings/ --output out/",
        "gansemble synthesise --exp exp/v1 --input mel.npy --output out/",
    ),
    "sample": (
        "gansemble sample --exp exp/drums --output out/",
        "gansemble sample --exp exp/drums --output out/ --count 64 --seed 1",
        "gansemble sample --exp exp/drums --output out/ --interpolate 3 8",
    ),
    "truncation": (
        "gansemble truncation conf/v1.yaml",
        "gansemble truncation conf/v1.yaml --thresholds 0.5,1 --count 64",
    ),
    "mels": (
        "gansemble mels conf/v1.yaml --input recordings/ --output mels/",
        "gansemble mels --exp exp/v1 --input recordings/ --output mels/ --resample",
    ),
    "enhance": (
        "gansemble enhance old.wav --exp exp/restoring --output restored/",
        "gansemble enhance records/ --exp exp/restoring --output restored/ --resample",
    ),
    "demo": (
        "gansemble demo exp/v1",
        "gansemble demo exp/v1 --open --port 9000",
        "gansemble demo exp/v1 --seconds 20 --checkpoint last",
    ),
    "export": (
        "gansemble export exp/v1",
        "gansemble export exp/v1 --output vocoder.onnx --licence cc-by-4.0",
        "gansemble export exp/v1 --int8 recordings/ --output small.onnx",
    ),
    "evaluate": (
        "gansemble evaluate conf/v1.yaml",
        "gansemble evaluate conf/v1.yaml --jobs 4 --force",
    ),
    "report": (
        "gansemble report conf/v1.yaml",
        "gansemble report conf/v1.yaml --compare exp/v2",
    ),
    "score": (
        "gansemble score recordings/ vocoder-a/ vocoder-b/ --metrics pesq,stoi",
        "gansemble score recordings/ old=run1/out new=run2/out --metrics pesq",
    ),
    "metric-card": (
        "gansemble metric-card pesq stoi",
        "gansemble metric-card pesq --audio recordings/ --output cards/",
    ),
    "listening": (
        "gansemble listening make --mode ab recordings/ a/ --output test/",
        "gansemble listening serve test/",
        "gansemble listening results test/",
    ),
    "listening make": (
        "gansemble listening make --mode mushra recordings/ a/ b/ --output test/",
        "gansemble listening make --mode ab real=recordings/ a/ --output test/ --clips 5",
    ),
    "listening serve": (
        "gansemble listening serve test/",
        "gansemble listening serve test/ --port 9000 --host 0.0.0.0",
    ),
    "listening results": (
        "gansemble listening results test/",
        "gansemble listening results test/ --csv rows.csv",
    ),
    "run": (
        "gansemble run conf/small.yaml --data recordings/",
        "gansemble run conf/small.yaml --stage train --stop-stage evaluate",
        "gansemble run conf/small.yaml --dry-run",
    ),
    "status": (
        "gansemble status exp/v1",
        "gansemble status exp/v1 --json",
    ),
    "cancel": (
        "gansemble cancel exp/v1",
        "gansemble cancel exp/v1 --now",
    ),
    "import": ("gansemble import --help",),
    "bundle": (
        "gansemble bundle exp/v1 --output bundles/v1 --licence cc-by-4.0",
        "gansemble bundle exp/v1 --output bundles/v1 --without optimisers",
    ),
    "push": (
        "gansemble push bundles/v1 alice/my-vocoder",
        "gansemble push exp/v1 alice/my-vocoder --licence cc-by-4.0 --private",
    ),
    "pull": (
        "gansemble pull alice/my-vocoder",
        "gansemble pull alice/my-vocoder --output bundles/hers --revision main",
    ),
}


def epilog(*lines: str) -> str:
    """Examples as the end of a command's help, for click's ``epilog``.

    Args:
        lines: commands as a user types them.
    """
    return "\n".join(["\b", "examples:", *(f"  {line}" for line in lines)])


def attach(command: click.Command, path: str = "") -> click.Command:
    """Gives a command of the toolkit, and those below it, the examples of its help.

    Args:
        command: the command, which is changed and returned; a plugin's that has an ``epilog`` of its own keeps it.
        path: the words that call it, after ``gansemble``.
    """
    if not command.epilog and path in EXAMPLES:
        command.epilog = epilog(*EXAMPLES[path])
    if isinstance(command, click.Group) and path:
        for name, below in command.commands.items():
            attach(below, f"{path} {name}")
    return command
