"""What a bundle may hold, and what ``bundle.json`` says of it. Imports no torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NotRequired, TypedDict

from gansemble.errors import BundleError, DataError
from gansemble.stages import json_files

#: The file that makes a folder a bundle.
FACTS = "bundle.json"
#: What the file says it is, and the newest version that is read here.
FORMAT, VERSION = "gansemble-bundle", 1
#: The files that a bundle may hold besides ``bundle.json``, all of them data that nothing is executed of.
ALLOWED = re.compile(
    r"README\.md|fidelity\.json"
    r"|checkpoints/step-[0-9]{1,18}/(manifest\.json|recipe\.yaml|[A-Za-z0-9_-]{1,60}\.(safetensors|json))"
    r"|scores/(summary\.json|scores\.jsonl)"
    r"|samples/[0-9]{2}\.flac"
)
#: What a hub, git and systems put into folders; it is no part of a bundle, and never read.
FOREIGN = re.compile(r"\.gitattributes|\.git/.*|\.cache/huggingface/.*|(.*/)?\.DS_Store")
#: Suffixes of files that hold, or may hold, a pickle, which can run any program when it is read.
PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt", ".npy", ".npz", ".joblib", ".dill"})
#: What to do about a bundle that cannot be relied on.
REMEDY = "pull or copy the bundle again, and ask who made it if that does not help"


class ListedFile(TypedDict):
    """A file of a bundle.

    Attributes:
        bytes: its size.
        sha256: of its content, in hexadecimal digits.
    """

    bytes: int
    sha256: str


class TrainingData(TypedDict):
    """What a bundle says of the data that its networks learnt from.

    Attributes:
        corpus: name of the recipe's corpus.
        licence: of the corpus, in words; None is unknown.
        clips: number of training clips; None is unknown.
        stand_in: True where the networks learnt from a stand-in of the corpus, which its licence says nothing of.
    """

    corpus: str
    licence: str | None
    clips: int | None
    stand_in: bool | None


class Facts(TypedDict):
    """The content of ``bundle.json``.

    Attributes:
        format: ``gansemble-bundle``.
        version: of the format.
        gansemble: version of the toolkit that made the bundle.
        name: of the recipe.
        task: of the recipe.
        checkpoint: name of the checkpoint's folder.
        step: training steps that were done.
        audio: the audio specification.
        audio_digest: a hash of what it means.
        holds: what there is, such as ``discriminators`` or ``optimisers``, sorted.
        parameters: how many each network has, by its name.
        licence: of the model, as its owner states it; None where nobody did.
        data: what the networks learnt from.
        plugins: what the recipe's parts need besides the toolkit, and how to get it, by the plugin's name.
        files: every other file, by its path in the bundle.
    """

    format: str
    version: int
    gansemble: str
    name: str
    task: str
    checkpoint: str
    step: int
    audio: dict[str, int | float | str | None]
    audio_digest: str
    holds: list[str]
    parameters: dict[str, int]
    licence: str | None
    data: TrainingData
    plugins: NotRequired[dict[str, str]]
    files: dict[str, ListedFile]


class _Head(TypedDict):
    """What every version of the format has."""

    format: str
    version: int


def is_bundle(folder: Path) -> bool:
    """Whether a folder says that it is a bundle."""
    return (folder / FACTS).is_file() or (folder / FACTS).is_symlink()


def demand_experiment(folder: Path, what: str) -> None:
    """Refuses to write into a bundle, which would not be what its hashes say any more.

    Args:
        folder: an experiment's.
        what: is not done there, such as ``training``.

    Raises:
        BundleError: if it is a bundle.
    """
    if is_bundle(folder):
        raise BundleError(
            f"{folder}: is a bundle, which is only read, and {what} writes there; give another --exp. To begin with its networks, set "
            f"init.exp={folder}; to go on where its training ended, copy the folder and delete {FACTS} from the copy"
        )


def read(folder: Path) -> Facts:
    """What a bundle says of itself; its files are not looked at.

    Raises:
        BundleError: if there is no such file, it is no bundle's, is damaged or of a newer format, or lists what no bundle holds.
    """
    path = folder / FACTS
    try:
        if path.is_symlink():
            raise BundleError(f"{path}: is a link; a bundle holds its files itself; {REMEDY}")
        head = json_files.read(
            path, _Head, "give the folder of a bundle, or make one with gansemble bundle EXP --output DIR"
        )
        if head["format"] != FORMAT:
            raise BundleError(
                f"{path}: format is {head['format']!r}, expected {FORMAT!r}: this is no bundle of gansemble's"
            )
        if head["version"] > VERSION:
            raise BundleError(
                f"{path}: format version {head['version']}, and this gansemble reads at most {VERSION}; install a newer gansemble"
            )
        facts = json_files.read(path, Facts, REMEDY)
    except DataError as error:
        raise BundleError(str(error)) from error
    _demand_sensible(path, facts)
    return facts


def _demand_sensible(path: Path, facts: Facts) -> None:
    """Refuses names that leave the folder, or that no bundle has, and a checkpoint that is not listed."""
    for name in facts["files"]:
        suffix = Path(name).suffix.lower()
        if suffix in PICKLES:
            raise BundleError(
                f"{path}: lists {name}, and files of the kind {suffix} may hold programs; a bundle holds safetensors and JSON; "
                "nothing of it was read; do not use this bundle"
            )
        if ALLOWED.fullmatch(name) is None:
            raise BundleError(f"{path}: lists {name!r}, which is no name of a bundle's file; do not use this bundle")
    place = f"checkpoints/{facts['checkpoint']}"
    needed = [f"{place}/{each}" for each in ("manifest.json", "recipe.yaml", "generator.safetensors")]
    missing = [name for name in needed if name not in facts["files"]]
    others = [name for name in facts["files"] if name.startswith("checkpoints/") and not name.startswith(f"{place}/")]
    if missing or others:
        what = (
            f"does not list {missing[0]}"
            if missing
            else f"lists {others[0]}, of another checkpoint than {facts['checkpoint']}"
        )
        raise BundleError(f"{path}: damaged ({what}); {REMEDY}")
