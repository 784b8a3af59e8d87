"""Writes a listening test: sounds as FLAC, the page, and the key, into a folder that is there whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import soundfile

from gansemble.files import beside
from gansemble.listening import page
from gansemble.listening.design import Design, Key
from gansemble.listening.places import ANSWERS, INDEX, KEY, PAGE, SOUNDS
from gansemble.listening.sounds import Prepared
from gansemble.stages import json_files

#: Size of a whole page beyond which a warning is given [bytes].
HEAVY = 200e6


def encoded(audio: np.ndarray, rate: int) -> bytes:
    """Audio [C, T] as a FLAC file of 16 bits."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(audio, -1, 1).T, rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def identity(sounds: dict[str, bytes], found: Design) -> str:
    """The name of a test: a hash of its trials and of all that is heard in them, so that answers find their own."""
    hashed = hashlib.sha256(json.dumps(found.trials, sort_keys=True).encode())
    for name in sorted(sounds):
        hashed.update(name.encode() + hashlib.sha256(sounds[name]).digest())
    return hashed.hexdigest()[:16]


def write(
    output: Path, key: Key, sounds: dict[str, bytes], prepared: dict[str, Prepared], embed: float, notes: list[str]
) -> int:
    """Writes the folder whole or not at all; the size of what listeners get [bytes]."""
    texts = {name: page.as_text(data) for name, data in sounds.items()}
    total = sum(map(len, texts.values()))
    within = total <= embed * 1e6
    if not within:
        notes.append(
            f"the sounds have {total / 1e6:.0f} MB, more than --embed {embed:g}: they lie beside the page in {PAGE}/{SOUNDS}, and "
            "the whole folder must be given away"
        )
    if total > HEAVY:
        notes.append(f"warning: {total / 1e6:.0f} MB is much for a browser; use fewer --clips or --cut 10")
    loudest = page.loudest(key, prepared)
    staged = beside(output.absolute())
    try:
        folder = staged / PAGE
        folder.mkdir(parents=True)
        (staged / ANSWERS).mkdir()
        html = page.assemble(key, loudest, texts if within else None)
        (folder / INDEX).write_text(html, encoding="utf-8")
        if not within:
            (folder / SOUNDS).mkdir()
            for name, text in texts.items():
                (folder / SOUNDS / f"{name}.js").write_text(page.sound_script(name, text), encoding="utf-8")
        json_files.write(staged / KEY, key)
        if output.is_dir():
            output.rmdir()
        staged.replace(output)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return len(html.encode()) + (0 if within else total)
