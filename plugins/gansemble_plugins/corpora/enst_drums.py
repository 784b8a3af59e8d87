"""ENST-Drums (Gillet and Richard, 2006): three drummers, each on a kit of their own, with a file for every microphone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from gansemble.audio import files, listing
from gansemble.audio.names import as_text, shown
from gansemble.data.manifest import Clip
from gansemble.data.mini import build
from gansemble.errors import DataError
from gansemble.numbers import BelowOne, Range
from gansemble_plugins.corpora.listing import check_shares, counted, split_by_hash
from gansemble_plugins.corpora.synthetic import beat

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

RATE = 44100
WAV = frozenset({".wav"})
DRUMMERS = (1, 2, 3)
WHERE = (
    "ENST-Drums is handed out on registration: see https://perso.telecom-paristech.fr/grichard/ENST-drums/. Unpack it with "
    "its folders drummer_1, drummer_2 and drummer_3"
)
NAME = re.compile(r"([0-9]+)_([^_]+)(?:_.*)?")
MINI_KINDS = (
    "hits_snare-drum_sticks_x5",
    "phrase_rock_simple_fast_rods",
    "phrase_disco_complex_slow_sticks",
    "minus-one_salsa_sticks",
)
MINI_STEP, MINI_STEPS = 0.25, 6  # [s], and how many make a take


class ENSTDrums:
    """``drummer_{1,2,3}/audio/{mix}/{number}_{kind}_{words}.wav``: takes, labelled with their drummer and kind.

    The takes of one drummer are the test set, those of the others for training and validation, so that neither drummer nor
    kit of the test is trained on. A clip's id is ``drummer_{n}__{name}``. Mixes are stereo, the microphones mono.

    Args:
        mix: which folder of each drummer: the mix with effects, the mix without, one microphone, or the music that was
            played along to, which only takes of minus-one have.
        test_drummer: whose takes are the test set.
        validation: share of the other drummers' takes that a hash of their ids holds out; one at least.
        kinds: which kinds of takes, by the word behind a file's number: ``hits``, ``phrase``, ``solo``, ``minus-one``,
            ``MIDI-minus-one``; empty: all.

    Raises:
        ValueError: if there is no such drummer, or ``validation`` is negative or leaves nothing for training.
    """

    licence = "restricted to research: what one agrees to on registration holds"

    def __init__(
        self,
        *,
        mix: Literal[
            "wet_mix",
            "dry_mix",
            "accompaniment",
            "kick",
            "snare",
            "hi-hat",
            "tom_1",
            "tom_2",
            "tom_3",
            "overhead_L",
            "overhead_R",
        ] = "wet_mix",
        test_drummer: Annotated[int, Range(at_least=1, at_most=3)] = 3,
        validation: BelowOne = 0.05,
        kinds: Sequence[str] = (),
    ) -> None:
        check_shares(validation, 0.0)
        if test_drummer not in DRUMMERS:
            raise ValueError(f"test_drummer must be 1, 2 or 3, got {test_drummer}")
        self.mix = mix
        self.test_drummer = test_drummer
        self.validation = validation
        self.kinds = tuple(kinds)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Published at 44.1 kHz."""
        from gansemble.contract import CorpusContract

        return CorpusContract(sample_rates=frozenset({RATE}))

    def fetch(self, folder: Path) -> None:
        """Checks that a drummer's folder is there; nothing is downloaded, as registration is asked for.

        Raises:
            DataError: if none is, saying where the corpus comes from and under which licence.
        """
        if not any(_audio(folder, drummer).is_dir() for drummer in DRUMMERS):
            raise DataError(
                f"{folder}: expected {_LAYOUT}. {WHERE}, or name a folder with --data. Licence: {self.licence}"
            )

    def scan(self, folder: Path) -> list[Clip]:
        """The takes of the mix, sorted by drummer and name.

        Raises:
            DataError: if ``folder`` is missing or has not the layout, a drummer lacks the mix, a name is none of the corpus, no
                take is of the kinds, or only the test's drummer is there.
        """
        there = [drummer for drummer in DRUMMERS if _audio(folder, drummer).is_dir()]
        if not there:
            found = "no such folder" if not folder.is_dir() else "found no drummer_1/audio"
            raise DataError(f"{folder}: expected {_LAYOUT}, {found}; {_advice(folder)}")
        if there == [self.test_drummer]:
            raise DataError(
                f"{folder}: only drummer_{self.test_drummer} is there, whose takes are the test set (corpus.test_drummer); add "
                "another drummer, or name another folder with --data"
            )
        takes = [take for drummer in there for take in self._takes(folder, drummer)]
        wanted = [clip for clip in takes if not self.kinds or clip.labels["kind"] in self.kinds]
        if not wanted:
            known = ", ".join(sorted({str(clip.labels["kind"]) for clip in takes}))
            raise DataError(
                f"{folder}: no take is of {', '.join(self.kinds)} (corpus.kinds); there are {known or 'none at all'}"
            )
        splits = split_by_hash([c.id for c in wanted if c.labels["drummer"] != self.test_drummer], self.validation)
        return [Clip(clip.id, clip.path, splits.get(clip.id, "test"), clip.labels) for clip in wanted]

    def _takes(self, folder: Path, drummer: int) -> list[Clip]:
        """One drummer's takes, all of them with the split of the test."""
        place = _audio(folder, drummer) / self.mix
        if not place.is_dir():
            known = ", ".join(sorted(each.name for each in place.parent.glob("*/"))) or "none"
            raise DataError(
                f"{folder}: drummer_{drummer}/audio has no {self.mix}/, only {known}; set corpus.mix, or take the drummer out"
            )
        clips = []
        for name, path in listing.inside(place, WAV).items():
            found = NAME.fullmatch(name)
            if not found:
                raise DataError(
                    f"{place / path}: expected a name as {{number}}_{{kind}}_{{words}}.wav, such as "
                    f"044_phrase_rock_simple_fast_rods.wav, got {shown(name)}; keep the names they were published with"
                )
            labels: dict[str, int | str] = {"drummer": drummer, "kind": as_text(found[2])}
            below = f"drummer_{drummer}/audio/{self.mix}/{path.name}"
            clips.append(Clip(f"drummer_{drummer}__{as_text(name)}", below, "test", labels))
        return clips

    def describe(self, folder: Path) -> str:
        """One sentence: how many takes by which drummers there are, and how they are split."""
        clips = self.scan(folder)
        there = {clip.labels["drummer"] for clip in clips}
        absent = [f"drummer_{each}" for each in DRUMMERS if each not in there]
        part = f" in part (without {', '.join(absent)})" if absent else ""
        kinds = f" ({', '.join(self.kinds)})" if self.kinds else ""
        return (
            f"ENST-Drums{part}, {self.mix}{kinds}, {counted(clips)} takes: drummer_{self.test_drummer} is the test set."
        )

    def mini(self, folder: Path) -> None:
        """Eight synthetic takes of 1.5 s by each of three drummers, 44.1 kHz stereo, with the mix that is asked for; a second
        call does nothing.

        Raises:
            DataError: if ``folder`` holds something else.
        """
        build(folder, f"enst_drums 1, {self.mix}", lambda made: _write_mini(made, self.mix, self.kinds))


_LAYOUT = "ENST-Drums' layout (drummer_1/audio/wet_mix/*.wav and so on, to drummer_3)"


def _audio(folder: Path, drummer: int) -> Path:
    return folder / f"drummer_{drummer}" / "audio"


def _advice(folder: Path) -> str:
    """What to do where no drummer is found."""
    if folder.is_dir():
        below = [
            each for each in sorted(folder.glob("*/")) if any(_audio(each, drummer).is_dir() for drummer in DRUMMERS)
        ]
        if below:
            return f"did you mean {below[0].name}/ inside it (--data {below[0]})?"
        if (folder / "audio").is_dir() or folder.name == "audio":
            return f"did you mean the folder above the drummers (--data {folder.absolute().parent})?"
    return f"{WHERE}, or name another folder with --data"


def _write_mini(folder: Path, mix: str, kinds: Sequence[str]) -> None:
    named = tuple(f"{kind}_sticks" for kind in kinds) or MINI_KINDS
    for drummer in DRUMMERS:
        place = _audio(folder, drummer) / mix
        place.mkdir(parents=True)
        for take in range(8):
            seed = (drummer, take)
            played = beat(round(MINI_STEP * MINI_STEPS * RATE), RATE, MINI_STEPS, seed)
            sides = np.stack([played, 0.7 * played]) if mix in ("wet_mix", "dry_mix") else played[np.newaxis]
            files.write(place / f"{take + 1:03d}_{named[take % len(named)]}.wav", sides.astype(np.float32), RATE)
