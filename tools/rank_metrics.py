"""Holds metrics against what is known: recordings degraded in ten ways, each mildly and strongly, must be ranked so.

    python tools/rank_metrics.py --audio LJSpeech-1.1/wavs --output ranking/ [--clips 16] [--metrics pesq,stoi]

Writes the degraded folders, scores them with `gansemble score`, and prints a table of the means (Markdown) with every way
that a metric orders wrongly, and those that it cannot tell apart on these clips.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import librosa
import numpy as np
from scipy.signal import butter, sosfiltfilt

import gansemble
from gansemble.audio import files, listing
from gansemble.errors import DataError
from gansemble.suite.api import Scores
from gansemble.suite.summary import Key
from gansemble_plugins.degradations.codec import coded

#: Way -> strengths by name, the mildest first; a metric must find each worse than the one before it.
Change = Callable[[np.ndarray, int], np.ndarray]


def noise(decibels: float) -> Change:
    """White noise so many decibels below the recording."""

    def change(audio: np.ndarray, rate: int) -> np.ndarray:
        drawn = np.random.default_rng(0).standard_normal(audio.size)
        return audio + drawn * np.sqrt(np.mean(audio**2) / np.mean(drawn**2)) * 10 ** (-decibels / 20)

    return change


def griffin_lim(iterations: int) -> Change:
    """Phases found anew by Griffin and Lim's algorithm, from 80 mel bands up to 8 kHz."""

    def change(audio: np.ndarray, rate: int) -> np.ndarray:
        settings = {"sr": rate, "n_fft": 1024, "power": 1.0, "fmax": min(8000, rate / 2)}
        mel = librosa.feature.melspectrogram(y=audio, hop_length=256, n_mels=80, **settings)
        amplitude = librosa.feature.inverse.mel_to_stft(mel, **settings)
        return librosa.griffinlim(
            amplitude, n_iter=iterations, hop_length=256, n_fft=1024, length=audio.size, init="random", random_state=0
        )

    return change


def low_pass(cutoff: float) -> Change:
    """A zero-phase Butterworth low-pass of order 8."""
    return lambda audio, rate: sosfiltfilt(butter(8, cutoff, fs=rate, output="sos"), audio)


def clipped(share: float) -> Change:
    """Clipped at a share of the peak."""
    return lambda audio, rate: np.clip(audio, *(np.array([-share, share]) * np.abs(audio).max()))


def codec(name: str, level: float) -> Change:
    """A codec at one of libsndfile's compression levels."""
    return lambda audio, rate: coded(audio.astype(np.float32), rate, name, level)  # type: ignore[arg-type]


def pitch(semitones: float) -> Change:
    """A pitch shift by a phase vocoder, of the same length."""
    return lambda audio, rate: librosa.effects.pitch_shift(audio, sr=rate, n_steps=semitones)


def reverberated(seconds: float) -> Change:
    """A tail of noise that falls by 60 dB in so many seconds, 10 dB below the recording."""

    def change(audio: np.ndarray, rate: int) -> np.ndarray:
        time = np.arange(int(rate * seconds)) / rate
        tail = np.random.default_rng(0).standard_normal(time.size) * 10 ** (-3 * time / seconds)
        tail *= np.sqrt(0.1) / np.linalg.norm(tail)
        return audio + np.convolve(audio, tail)[: audio.size]

    return change


WAYS: Mapping[str, Mapping[str, Change]] = {
    "noise": {f"{db} dB": noise(db) for db in (40, 30, 20, 10)},
    "Griffin-Lim": {f"{n} iterations": griffin_lim(n) for n in (64, 4)},
    "MP3": {"middle": codec("mp3", 0.6), "low": codec("mp3", 0.95)},
    "Vorbis": {"high": codec("vorbis", 0.2), "low": codec("vorbis", 0.99)},
    "Opus": {"middle": codec("opus", 0.7), "low": codec("opus", 0.98)},
    "low-pass": {"6 kHz": low_pass(6000), "3 kHz": low_pass(3000)},
    "clipping": {"at 50 %": clipped(0.5), "at 15 %": clipped(0.15)},
    "pitch": {"0.25 semitones": pitch(0.25), "2 semitones": pitch(2)},
    "reverberation": {"0.2 s": reverberated(0.2), "1 s": reverberated(1.0)},
    "quantised": {
        "to 10 bits": lambda audio, rate: np.round(audio * 512) / 512,
        "to 6 bits": lambda audio, rate: np.round(audio * 32) / 32,
    },
}


def make(source: Path, folder: Path, count: int) -> dict[str, Path]:
    """The recordings and their degraded versions, made once; folders by name, ``reference`` first."""
    chosen = dict(list(listing.by_name(source).items())[:count])
    if not chosen:
        raise DataError(f"{source}: has no audio files")
    found = {"reference": folder / "reference"}
    found |= {f"{way}, {name}": folder / f"{way} {name}" for way, strengths in WAYS.items() for name in strengths}
    for name, path in chosen.items():
        if all((each / f"{name}.wav").is_file() for each in found.values()):
            continue
        audio, rate = files.read(source / path)
        original = audio.mean(axis=0).astype(np.float64)
        for each in found.values():
            (each / name).parent.mkdir(parents=True, exist_ok=True)
        files.write(found["reference"] / f"{name}.wav", original, rate, "float")
        for way, strengths in WAYS.items():
            for strength, change in strengths.items():
                files.write(found[f"{way}, {strength}"] / f"{name}.wav", change(original, rate), rate, "float")
    return found


def verdicts(scores: Scores, key: Key, way: str) -> list[str]:
    """What a metric gets wrong of a way: pairs of neighbours in strength that it orders the other way round."""
    names = [f"{way}, {strength}" for strength in WAYS[way]]
    wrong = []
    for mild, strong in pairwise(names):
        first, second = (scores.results.values(name, key) for name in (mild, strong))
        differences = np.array([second[clip] - first[clip] for clip in first])
        differences = differences[np.isfinite(differences)]
        worse = differences < 0 if key.direction.better == "higher" else differences > 0
        if not len(differences):
            wrong.append(f"{strong}: no value")
        elif worse.mean() < 0.5 or np.mean(differences) * (-1 if key.direction.better == "higher" else 1) <= 0:
            wrong.append(f"finds {strong} no worse than {mild} ({100 * worse.mean():.0f} % of clips)")
        elif worse.mean() < 0.9:
            wrong.append(f"is unsure of {strong} against {mild} ({100 * worse.mean():.0f} % of clips)")
    return wrong


def tell(scores: Scores) -> list[str]:
    """The table of means and what each metric orders wrongly, in Markdown."""
    keys, systems = scores.results.keys, scores.results.systems
    lines: list[str] = []
    if keys:
        lines += [f"| | {' | '.join(key.name for key in keys)} |", f"|---{'|---' * len(keys)}|"]
        for system in systems:
            means = [scores.results.mean(system, key) for key in keys]
            lines.append(f"| {system} | {' | '.join(f'{mean.mean:.3f}' if mean.n_ok else '–' for mean in means)} |")
    set_keys = scores.results.set_keys
    if set_keys:
        lines += ["", f"| | {' | '.join(key.name for key in set_keys)} |", f"|---{'|---' * len(set_keys)}|"]
        for system in systems:
            values = [scores.results.set_value(system, key).value for key in set_keys]
            lines.append(f"| {system} | {' | '.join(f'{value:.3f}' for value in values)} |")
    lines.append("")
    for key in keys:
        wrong = [text for way in WAYS for text in verdicts(scores, key, way)]
        lines.append(f"* `{key.name}` " + ("; ".join(wrong) if wrong else "orders all of them as they are"))
    for key in set_keys:
        lines.append(f"* `{key.name}` " + ("; ".join(_set_faults(scores, key)) or "orders all of them as they are"))
    return lines


def _set_faults(scores: Scores, key: Key) -> list[str]:
    faults = []
    for way, strengths in WAYS.items():
        values = [scores.results.set_value(f"{way}, {strength}", key).value for strength in strengths]
        ordered = values if key.direction.better == "lower" else values[::-1]
        faults += [] if all(a < b for a, b in pairwise(ordered)) else [f"orders {way} wrongly"]
    return faults


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--metrics", default="", help="names, separated by commas")
    parser.add_argument("--config", type=Path, help="or a YAML file with a section metrics")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    folders = make(given.audio, given.output, given.clips)
    reference = folders.pop("reference")
    metrics = given.config or [name for name in given.metrics.split(",") if name]
    scores = gansemble.score(reference, folders, metrics=metrics, output=given.output / "scores")
    text = "\n".join(tell(scores))
    (given.output / "ranking.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
