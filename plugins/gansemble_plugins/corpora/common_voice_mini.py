"""A small corpus in Common Voice's layout, spoken by voices of eSpeak NG."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import soundfile

from gansemble.data.mini import VOICES, Voice, speech

RATE = 32000
COLUMNS = (
    *("client_id", "path", "sentence", "up_votes", "down_votes"),
    *("age", "gender", "accents", "locale", "segment"),
)
SENTENCES = (
    "The rain has stopped.",
    "Open the window, please.",
    "We met at the station.",
    'She said "no" twice.',
    "A dog barks far away.",
    "The engine starts slowly.",
    "Nobody heard the bell.",
)


class Speaker(NamedTuple):
    """A speaker of the mini corpus: its list, how many clips it has, and what it states of itself."""

    split: str
    clips: int
    voice: Voice
    gender: str
    age: str
    accent: str


def _turned(voice: Voice, by: int) -> Voice:
    return replace(voice, pitch=voice.pitch + by, words_per_minute=voice.words_per_minute + by)


SPEAKERS = (
    Speaker("train", 4, VOICES[0], "female", "twenties", "United States English"),
    Speaker("train", 4, VOICES[1], "male", "thirties", "United States English"),
    Speaker("train", 4, VOICES[2], "female", "thirties", "England English"),
    Speaker("train", 4, VOICES[3], "male", "twenties", "England English"),
    Speaker("train", 4, VOICES[4], "", "", ""),
    Speaker("dev", 2, _turned(VOICES[0], 12), "female", "twenties", "England English"),
    Speaker("dev", 2, _turned(VOICES[1], 12), "male", "thirties", "United States English"),
    Speaker("test", 2, _turned(VOICES[2], -12), "female", "thirties", "United States English"),
    Speaker("test", 2, _turned(VOICES[3], -12), "male", "twenties", "England English"),
)


def write_mini(folder: Path) -> None:
    """Writes ``clips/``, the three lists, and how long the clips are.

    Raises:
        DataError: if eSpeak NG is missing.
    """
    (folder / "clips").mkdir()
    suffix = "mp3" if "MP3" in soundfile.available_formats() else "wav"
    turns = [(place, take) for place, speaker in enumerate(SPEAKERS) for take in range(speaker.clips)]
    sentences = [SENTENCES[(2 * place + take) % len(SENTENCES)] for place, take in turns]
    said = speech(sentences, voices=[SPEAKERS[place].voice for place, _ in turns], sample_rate=RATE)
    lists = {split: ["\t".join(COLUMNS)] for split in ("train", "dev", "test")}
    durations = ["clip\tduration[ms]"]
    for number, ((place, _), sentence, audio) in enumerate(zip(turns, sentences, said, strict=True)):
        speaker = SPEAKERS[place]
        name = f"common_voice_en_{900_000 + number}.{suffix}"
        soundfile.write(str(folder / "clips" / name), audio, RATE)
        client = hashlib.sha512(f"speaker {place}".encode()).hexdigest()
        stated = (speaker.age, speaker.gender, speaker.accent)
        lists[speaker.split].append("\t".join((client, name, sentence, "2", "0", *stated, "en", "")))
        durations.append(f"{name}\t{1000 * len(audio) // RATE}")
    for split, lines in lists.items():
        (folder / f"{split}.tsv").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "clip_durations.tsv").write_text("".join(f"{line}\n" for line in durations), encoding="utf-8")
