"""SC09: the ten digits of Speech Commands (Warden, 2018), WaveGAN's benchmark (Donahue et al., 2019)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gansemble.audio import files, listing
from gansemble.audio.names import as_text, shown
from gansemble.data import text_files
from gansemble.data.download import Progress, fetch_archive
from gansemble.data.manifest import Clip
from gansemble.data.mini import VOICES, build
from gansemble.errors import DataError
from gansemble_plugins.corpora.digits import WORDS, placed, spoken, takes
from gansemble_plugins.corpora.listing import counted

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

RATE = 16000
WAV = frozenset({".wav"})
#: Of each version: its archive, sha256, and size where it is published [bytes].
ARCHIVES: dict[str, tuple[str, str, int | None]] = {
    "0.01": (
        "http://download.tensorflow.org/data/speech_commands_v0.01.tar.gz",
        "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
        None,
    ),
    "0.02": (
        "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        2_428_923_189,
    ),
}
LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}
#: The words of both versions; those of the digits are WORDS.
ALL_WORDS = frozenset(
    {
        *WORDS,
        *("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "bed", "bird", "cat", "dog", "happy"),
        *("house", "marvin", "sheila", "tree", "wow", "backward", "forward", "follow", "learn", "visual"),
    }
)
TRAIN, ALL = 18_620, 23_666  # clips of the ten digits in version 0.01


class SC09:
    """The folders ``zero`` to ``nine`` of Speech Commands, labelled 0 to 9; other words are passed over.

    The split is the archive's own: ``validation_list.txt``, ``testing_list.txt``, and the rest for training. Ids are
    those of the WaveGAN paper's files, such as ``Zero_004ae714_nohash_0``.

    Args:
        version: of Speech Commands; ``0.01`` is the paper's.
        encoding: of the lists; null: UTF-8, or as their byte-order marks say.

    Raises:
        ValueError: if no encoding has that name.
    """

    licence = "CC BY 4.0"

    def __init__(self, *, version: Literal["0.01", "0.02"] = "0.01", encoding: str | None = None) -> None:
        text_files.check_encoding(encoding)
        self.version = version
        self.encoding = encoding
        self.url, self.sha256, self.archive_bytes = ARCHIVES[version]

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Ten classes at 16 kHz."""
        from gansemble.contract import CorpusContract

        return CorpusContract(sample_rates=frozenset({RATE}), gives=frozenset({"labels"}), classes=len(WORDS))

    def fetch(self, folder: Path, *, progress: Progress | None = None) -> None:
        """Downloads the archive beside ``folder`` and unpacks it, unless the layout is there already.

        Raises:
            DataError: if ``folder`` holds something else, or the download or the archive is not as published.
        """
        if _has_layout(folder):
            return
        # The archive has no top folder.
        fetch_archive(
            self.url,
            folder,
            layout=_LAYOUT,
            sha256=self.sha256,
            size=self.archive_bytes,
            max_bytes=8 << 30,
            max_files=120_000,
            progress=progress,
        )

    def scan(self, folder: Path) -> list[Clip]:
        """The clips of the digits' folders, sorted by digit and name.

        Raises:
            DataError: if ``folder`` is missing, has not the layout, or holds no clip, or a line of a list is no path of a clip or
                was there before.
        """
        if not _has_layout(folder):
            found = "no such folder" if not folder.is_dir() else "something else is there"
            raise DataError(
                f"{folder}: {found}; expected {_LAYOUT}; run stage fetch into a new folder, or name another with --data"
            )
        held_out = _held_out(folder, self.encoding)
        clips = []
        for label, word in enumerate(WORDS):
            for name, path in listing.inside(folder / word, WAV).items():
                split = held_out.get(f"{word}/{name}.wav", "train")
                id_ = as_text(f"{word.title()}_{name}")
                clips.append(Clip(id_, f"{word}/{path.name}", split, {"label": label}))
        if not clips:
            raise DataError(f"{folder}: expected {_LAYOUT}, found no WAV file of a digit; unpack the archive again")
        return clips

    def describe(self, folder: Path) -> str:
        """One sentence: how many clips there are, and whether they are the paper's."""
        clips = self.scan(folder)
        train = sum(clip.split == "train" for clip in clips)
        said = f"Digits of Speech Commands v{self.version}, {counted(clips)} clips by its own lists"
        there = {f"{Path(clip.path).parent}/{Path(clip.path).stem}.wav" for clip in clips}
        held_out = _held_out(folder, self.encoding)
        others = sum(_word(name) not in WORDS for name in held_out)
        absent = [name for name in held_out if name not in there and _word(name) in WORDS]
        said += f", which also list {others} of other words" if others else ""
        if absent:
            said += f" ({len(absent)} that the lists hold out have no file, such as {shown(absent[0])})"
        if self.version != "0.01":
            return f"{said}: not the WaveGAN paper's SC09, which is of v0.01."
        if (train, len(clips)) == (TRAIN, ALL):
            return f"{said}: all of the WaveGAN paper's SC09."
        return (
            f"{said}: not all of the WaveGAN paper's SC09, which has {TRAIN:,} clips for training and {ALL:,} in all; "
            "scores are not comparable."
        )

    def mini(self, folder: Path) -> None:
        """Ten clips of 1 s for each digit, by five voices of eSpeak NG; a second call does nothing.

        Three voices are for training, one for validation, one for the test.

        Raises:
            DataError: if ``folder`` holds something else, or eSpeak NG is missing.
        """
        build(folder, "sc09 1", _write_mini)


_LAYOUT = "Speech Commands' layout (zero/*.wav to nine/*.wav, validation_list.txt and testing_list.txt)"


def _has_layout(folder: Path) -> bool:
    return all((folder / name).is_file() for name in LISTS.values()) and any((folder / w).is_dir() for w in WORDS)


def _held_out(folder: Path, encoding: str | None) -> dict[str, str]:
    """The split of each path that a list holds out."""
    found: dict[str, str] = {}
    places: dict[str, str] = {}
    for split, name in LISTS.items():
        for line in text_files.lines(folder / name, encoding):
            path = text_files.tidy(line.text)
            if path in found:
                raise DataError(
                    f"{line.place}: {text_files.brief(path)} is listed already, at {places[path]}; take one of the lines out"
                )
            if path.count("/") != 1 or not path.endswith(".wav") or _word(path) not in ALL_WORDS:
                raise DataError(
                    f"{line.place}: expected a path such as zero/004ae714_nohash_0.wav, got {text_files.brief(path)}; mend the "
                    "line, or get the list again"
                )
            found[path], places[path] = split, line.place
    return found


def _word(path: str) -> str:
    return path.partition("/")[0]


def _write_mini(folder: Path) -> None:
    voices = [(voice, number, take) for voice in VOICES for number, take in enumerate(takes(voice, 2))]
    lists: dict[str, list[str]] = {name: [] for name in LISTS}
    split_of = dict(zip(VOICES[-2:], LISTS, strict=True))
    for digit, words in enumerate(spoken([take for *_, take in voices], RATE)):
        (folder / WORDS[digit]).mkdir()
        for index, (word, (voice, number, _)) in enumerate(zip(words, voices, strict=True)):
            speaker = hashlib.sha256(voice.name.encode()).hexdigest()[:8]
            name = f"{WORDS[digit]}/{speaker}_nohash_{number}.wav"
            start = (RATE - len(word)) // 4 + 500 * (index % 5)
            files.write(folder / name, placed(word, RATE, start, (digit, index)), RATE)
            if voice in split_of:
                lists[split_of[voice]].append(name)
    for split, names in lists.items():
        (folder / LISTS[split]).write_text("".join(f"{name}\n" for name in sorted(names)), encoding="utf-8")
