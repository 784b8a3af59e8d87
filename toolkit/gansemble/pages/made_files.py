"""A page of files that a command made: each heard beside what it was made of, an excerpt where the files are long."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from gansemble.audio import files
from gansemble.audio.reader import AudioReader
from gansemble.audio.spec import AudioSpec
from gansemble.errors import DataError, GansembleError
from gansemble.files import write_atomically
from gansemble.pages.clips import Version, compared, toolbar
from gansemble.pages.document import assemble
from gansemble.pages.names import named
from gansemble.pages.sounds import Sounds

#: Files on a page, and seconds of each at the most: twenty pairs of twelve seconds keep well below the size of a page.
SHOWN, SECONDS = 20, 12.0
#: What every page begins with; a file without it is somebody else's.
MARK = b'<meta name="generator" content="gansemble">'
_HEAD = 1000


def demand_ours(path: Path) -> None:
    """Refuses a path for a page that no page may be written to, before there is work that would be lost.

    Raises:
        GansembleError: if it is a folder, is not named ``.html``, or holds something that is not such a page.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise GansembleError(f"--page {path}: expected the name of a page, which ends in .html")
    try:
        if path.is_dir() or (path.exists() and MARK not in path.open("rb").read(_HEAD)):
            raise GansembleError(f"--page {path}: is there already, and no page of this program; give another name")
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GansembleError(f"--page {path}: cannot be written ({error.strerror or error})") from error


def write(
    path: Path,
    title: str,
    pairs: Sequence[tuple[Path, Path]],
    spec: AudioSpec,
    made: str,
    say: Callable[[str], None] = lambda text: None,
) -> int:
    """Writes the page.

    Args:
        path: of it.
        title: of it.
        pairs: (what a file was made of, the file made); a source that is no audio is left out beside it.
        spec: gives the sample rate and the spectrograms.
        made: the name of the second version of each, such as ``restored``.
        say: called with lines about the page's size.

    Returns:
        How many files are on it.
    """
    shown, missing = [], []
    sounds = Sounds()
    for source, target in pairs[:SHOWN]:
        try:
            shown.append(_clip(source, target, spec, made, sounds))
        except (DataError, OSError) as error:
            missing.append(f"<li>{html.escape(str(error))}</li>")
    several = any(_has_sound(source) for source, _ in pairs)
    count = "1 file" if len(shown) == 1 else f"{len(shown)} files"
    longest = f"the middle {SECONDS:g} s of longer ones; channels are mixed to one"
    more = f"; the first {SHOWN} of {len(pairs)} files" if len(pairs) > SHOWN else ""
    body = [f"<header><h1>{named(title)}</h1><p>{count}: {longest}{more}</p></header>"]
    body += ["<h2>Listen</h2>", toolbar(spec.sample_rate, several), *shown] if shown else []
    body += [f"<h2>Files that could not be shown</h2><ul>{''.join(missing)}</ul>"] if missing else []
    write_atomically(path, assemble(title, body, sounds, say))
    return len(shown)


def _clip(source: Path, target: Path, spec: AudioSpec, made: str, sounds: Sounds) -> str:
    result, seconds = excerpt(target, spec.sample_rate)
    versions = [Version(made, result)]
    if _has_sound(source):
        versions.insert(0, Version("input", excerpt(source, spec.sample_rate)[0]))
    part = f"{SECONDS:g} s from the middle of " if seconds > SECONDS else ""
    return compared(target.name, f"{part}{seconds:.2f} s", versions, spec, sounds)


def _has_sound(source: Path) -> bool:
    return source.suffix.lower() != ".npy"


def excerpt(path: Path, rate: int) -> tuple[np.ndarray, float]:
    """The middle of a recording, with its channels mixed to one.

    Args:
        path: of the recording; one of hours is not read into memory as a whole.
        rate: sample rate of the excerpt [Hz].

    Returns:
        (samples [T], length of the whole recording [s]).

    Raises:
        DataError: if the file cannot be read.
    """
    with AudioReader(path) as reader:
        own = reader.sample_rate
        wanted = int(SECONDS * own)
        if reader.stated is None:
            whole = reader.read().mean(0)
            first = max(0, (len(whole) - wanted) // 2)
            return files.resample(whole[None, first : first + wanted], own, rate)[0], len(whole) / own
        first = max(0, (reader.stated - wanted) // 2)
        reader.skip(first)
        kept: list[np.ndarray] = []
        for block in reader.blocks():
            begin = reader.done - len(block)  # of the block
            kept.append(block[max(0, first - begin) : max(0, first + wanted - begin)].mean(1))
            if reader.done >= first + wanted:
                break
        return files.resample(np.concatenate(kept)[None], own, rate)[0], reader.stated / own
