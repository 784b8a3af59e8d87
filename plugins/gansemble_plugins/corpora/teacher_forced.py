"""Recordings and the mel spectrograms that an acoustic model predicts of their texts, for fine-tuning a vocoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gansemble.audio import files, listing
from gansemble.audio.spec import AudioSpec
from gansemble.data.manifest import Clip
from gansemble.data.mini import build, notes
from gansemble.errors import DataError
from gansemble.numbers import BelowOne, CountOrZero
from gansemble_plugins.corpora.listing import audio_below, check_shares, counted, ids_of, split_by_hash

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

SHOWN = 10  # files that a message names
MINI_PITCHES = (48, 52, 55, 60, 64, 67, 72, 76)


class TeacherForced:
    """``wavs/{name}.wav`` and ``mels/{name}.npy``: the mel spectrogram that a text-to-speech system predicts of a recording.

    The predictions are teacher-forced: the system is given the recording's own durations, so that frame k of the file is of
    the same moment as frame k of the recording. A file holds natural logarithms of magnitudes [M, L] in the scale of the
    recipe's ``audio`` section (``gansemble mels`` writes such files of the recordings, to train the system on); L may differ
    from the recording's number of frames by two. A clip's id is its path with ``/`` turned into ``__``, without the suffix.
    Kong et al. (2020), section 4.4, fine-tune HiFi-GAN so.

    Args:
        audio_folder: of the recordings, below the corpus folder.
        mel_folder: of the ``.npy`` files, likewise.
        validation: share of the recordings held out for validation, by a hash of their ids.
        test: share held out for the test.
        minimum_validation: at least so many are held out for validation, as far as one is left for training.
        audio: the specification of the recipe, for the mini corpus.

    Raises:
        ValueError: if the shares are negative or leave nothing for training, or the two folders are one.
    """

    licence = "the files' own"

    def __init__(
        self,
        *,
        audio_folder: str = "wavs",
        mel_folder: str = "mels",
        validation: BelowOne = 0.05,
        test: BelowOne = 0.0,
        minimum_validation: CountOrZero = 1,
        audio: AudioSpec,
    ) -> None:
        check_shares(validation, test)
        if minimum_validation < 0:
            raise ValueError(f"minimum_validation must be at least 0, got {minimum_validation}")
        if Path(audio_folder) == Path(mel_folder):
            raise ValueError(f"mel_folder must be another folder than audio_folder, got {mel_folder} for both")
        self.audio_folder, self.mel_folder = audio_folder, mel_folder
        self.validation, self.test, self.minimum_validation = validation, test, minimum_validation
        self.spec = audio

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Gives the mel spectrogram of each clip."""
        from gansemble.contract import CorpusContract

        return CorpusContract(gives=frozenset({"mel"}))

    def fetch(self, folder: Path) -> None:
        """Nothing to download: checks that both folders are there.

        Raises:
            DataError: if they are not.
        """
        lacking = [name for name in (self.audio_folder, self.mel_folder) if not (folder / name).is_dir()]
        if lacking:
            raise DataError(
                f"{folder}: expected {self.audio_folder}/ with recordings and {self.mel_folder}/ with a .npy file of the same "
                f"name for each (corpus.audio_folder, corpus.mel_folder), found no {' and no '.join(lacking)}; put the files "
                "there, or name another folder with --data"
            )

    def scan(self, folder: Path) -> list[Clip]:
        """A clip for each recording, sorted by path, with the file of its mel spectrogram.

        Raises:
            DataError: if a folder is missing, or a recording has no mel spectrogram, or a mel spectrogram no recording.
        """
        self.fetch(folder)
        root, mels = folder / self.audio_folder, folder / self.mel_folder
        paths = list(audio_below(root, listing.SUFFIXES))
        there = listing.by_name(mels, listing.ARRAYS)
        names = [path.with_suffix("").as_posix() for path in paths]
        self._demand_pairs(folder, names, set(there))
        ids = ids_of(root, paths)
        splits = split_by_hash(ids, self.validation, self.test, self.minimum_validation)
        return [
            Clip(
                id_,
                f"{self.audio_folder}/{path.as_posix()}",
                splits[id_],
                signals={"mel": f"{self.mel_folder}/{there[name].as_posix()}"},
            )
            for path, name, id_ in zip(paths, names, ids, strict=True)
        ]

    def _demand_pairs(self, folder: Path, names: Sequence[str], there: set[str]) -> None:
        said = []
        for lacking, what in (
            (sorted(set(names) - there), f"recordings have no {self.mel_folder}/{{name}}.npy"),
            (sorted(there - set(names)), f"mel spectrograms have no recording in {self.audio_folder}/"),
        ):
            if lacking:
                more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
                said.append(f"{len(lacking)} {what}: {', '.join(lacking[:SHOWN])}{more}")
        if said:
            raise DataError(f"{folder}: {'; '.join(said)}. Make or remove these files")

    def describe(self, folder: Path) -> str:
        """One line for the report of the data: how many clips, and how they are split."""
        return f"Recordings with mel spectrograms of another system, split by a hash of their names: {counted(self.scan(folder))}."

    def mini(self, folder: Path) -> None:
        """Eight notes of one second with their mel spectrograms, smoothed over time as predictions are."""
        stamp = f"notes with mels 1, {self.audio_folder} {self.mel_folder} {self.spec.digest()}"
        build(folder, stamp, self._write_mini)

    def _write_mini(self, folder: Path) -> None:
        import torch

        from gansemble.audio.features import log_mel

        for place in (self.audio_folder, self.mel_folder):
            (folder / place).mkdir(parents=True, exist_ok=True)
        for pitch, note in zip(MINI_PITCHES, notes(MINI_PITCHES, sample_rate=self.spec.sample_rate), strict=True):
            files.write(folder / self.audio_folder / f"note-{pitch:03d}.wav", note, self.spec.sample_rate)
            whole = len(note) // self.spec.hop * self.spec.hop
            mel = log_mel(torch.from_numpy(note[:whole].astype(np.float32))[None, None], self.spec)[0].numpy()
            padded = np.pad(mel, ((0, 0), (1, 1)), mode="edge")
            smooth = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3
            np.save(folder / self.mel_folder / f"note-{pitch:03d}.npy", smooth.astype(np.float32))
