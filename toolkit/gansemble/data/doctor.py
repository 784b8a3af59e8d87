"""The data doctor: reads every clip of a corpus once and reports faults by kind. Imports no torch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gansemble.audio.reader import AudioFault, AudioReader
from gansemble.data.facts import Facts
from gansemble.data.findings import AudioFinding, copies, finding, recordings, tally
from gansemble.data.manifest import Clip
from gansemble.data.stored import FINE
from gansemble.data.workers import end_with_parent, workers

WINDOW = 1024  # [samples] of the averaged spectrum, and of the search for digital silence
BLOCK = 256 * WINDOW  # [samples] read at a time, which bounds the memory
BANDS = 64  # equally wide bands of the averaged spectrum, in which a cut is looked for
SILENT_PEAK = 1e-3  # -60 dBFS; a clip with a lower peak is silent
SILENT_SHARE = 0.5  # share of all-zero windows from which a clip is reported as silent
FULL_SCALE = 0.999  # magnitude from which a flat stretch counts as clipped
DC = 0.01  # magnitude of a clip's mean above which it is reported
# A spectrum that falls by EDGE_DB within about a tenth of its frequency, to FLOOR_DB or less below its
# largest band, was cut by a filter. Of 660 spoken digits raised from 8 to 22.05 kHz 654 are found, of the
# same digits as recorded, LJSpeech and 16 NSynth notes none. A gentle resampler (torchaudio's default) hides
# half of the digits: the check misses rather than accuses.
EDGE_DB, FLOOR_DB = 26.0, -58.0
EDGE_FROM, EDGE_TO = 0.15, 0.8  # of the Nyquist frequency: below lie the partials of single notes


@dataclass(frozen=True)
class Examination:
    """The result of examining a corpus.

    Args:
        facts: measurements of each clip, in the order of the clips.
        findings: faults that at least one clip has, errors first.
    """

    facts: list[Facts]
    findings: list[AudioFinding]


def examine(
    folder: Path,
    clips: Sequence[Clip],
    *,
    sample_rate: int,
    segment: int | None,
    jobs: int,
    progress: Callable[[int, int], None] | None = None,
) -> Examination:
    """Reads every clip of a corpus once and reports its faults.

    Args:
        folder: the corpus folder, to which the clips' paths are relative.
        clips: what the corpus lists.
        sample_rate: the recipe's [Hz]; files at another rate are reported.
        segment: length of a training crop [samples at ``sample_rate``]; shorter clips are reported. None reports none.
        jobs: number of processes that read; 1 reads in this process.
        progress: called after each clip with (clips done, clips in all).

    Raises:
        ValueError: if ``jobs`` is less than 1.
        DataError: if a worker process was killed, or could not begin.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    facts = []
    for fact in read_all([folder / clip.path for clip in clips], [clip.id for clip in clips], jobs):
        facts.append(fact)
        if progress:
            progress(len(facts), len(clips))
    return Examination(facts, judge(facts, clips, sample_rate=sample_rate, segment=segment))


def read_all(paths: Sequence[Path], ids: Sequence[str], jobs: int) -> Iterator[Facts]:
    """Examines files in ``jobs`` processes and yields their facts in the order of the files.

    Args:
        paths: the files.
        ids: id of the clip of each file.
        jobs: number of processes; few files are read in this process all the same.

    Raises:
        DataError: if a worker process was killed, or could not begin.
    """
    if jobs == 1 or len(paths) < 2 * jobs:
        yield from map(examine_file, paths, ids)
        return
    # About eight portions for each process keep all of them busy to the end; 64 files at most keep progress steady.
    chunk = max(1, min(64, len(paths) // (8 * jobs)))
    advice = "memory, or a file that crashes the decoder); run again with one job (--jobs 1), which stops at the file"
    with workers(jobs, "reading the corpus", advice, end_with_parent, os.getpid()) as pool:
        yield from pool.map(examine_file, paths, ids, chunksize=chunk)


def examine_file(path: Path, clip_id: str) -> Facts:
    """Measures one file in a single pass, block by block, in bounded memory.

    Faults of the file are noted in the result and not raised as exceptions.
    """
    facts = Facts(clip_id)
    try:
        with AudioReader(path) as reader:
            facts = replace(
                facts,
                sample_rate=reader.sample_rate,
                frames=reader.stated or 0,
                channels=reader.channels,
                subtype=reader.subtype,
                remark=reader.remark,
            )
            sums = _Sums(reader.channels, reader.subtype in FINE)
            for block in reader.blocks(BLOCK):
                sums.add(block)
    except AudioFault as fault:
        return replace(facts, error=fault.code, message=f"{path}: {fault.text}")
    return sums.facts(facts)


def examine_samples(of: Facts, audio: np.ndarray, sample_rate: int) -> Facts:
    """Measures audio in memory, such as what was made of a file for the pack.

    Args:
        of: the measurements of its file.
        audio: [C, T], C channels of T samples.
        sample_rate: [Hz].
    """
    sums = _Sums(len(audio))
    for first in range(0, audio.shape[1], BLOCK):
        sums.add(np.ascontiguousarray(audio[:, first : first + BLOCK].T))
    return sums.facts(replace(of, sample_rate=sample_rate, channels=len(audio)))


class _Sums:
    """Running sums over the blocks of one file, from which its facts are computed at the end."""

    def __init__(self, channels: int, may_be_fine: bool = False) -> None:
        self.fine, self._may_be_fine = False, may_be_fine
        self.frames = self.clipped = self.windows = self.silent = 0
        self.peak = self.squares = 0.0
        self.totals = np.zeros(channels)
        self.power = np.zeros(WINDOW // 2 + 1)
        self.digest = hashlib.sha256(str(channels).encode())

    def add(self, block: np.ndarray) -> None:
        """Adds a block [T, C] of T samples and C channels; all but the last are a multiple of ``WINDOW`` long."""
        self.frames += len(block)
        # Many files of floating-point numbers hold 16-bit samples.
        self.fine = self.fine or (self._may_be_fine and bool((block * np.float32(32768) % 1).any()))
        self.digest.update(block.tobytes())
        self.peak = max(self.peak, float(np.abs(block).max(initial=0)))
        self.totals += block.sum(axis=0, dtype=np.float64)
        self.squares += float(np.vdot(block, block)) if block.size else 0.0
        # A sample is clipped where it equals both neighbours at full scale; single peaks at full scale are not.
        flat = (block[1:-1] == block[:-2]) & (block[1:-1] == block[2:]) & (np.abs(block[1:-1]) >= FULL_SCALE)
        self.clipped += int(flat.sum())
        # The rest of the last block is left out of the spectrum, unless the whole file is shorter than a window.
        whole = len(block) // WINDOW * WINDOW
        if whole == 0 and self.windows == 0:
            block, whole = np.pad(block, ((0, WINDOW - len(block)), (0, 0))), WINDOW
        frames = block[:whole].T.reshape(-1, WINDOW)  # [C * whole / WINDOW, WINDOW]: each channel's windows in turn
        self.windows += len(frames)
        self.silent += int((~frames.any(axis=1)).sum())
        frames = frames - frames.mean(axis=1, keepdims=True)
        spectrum = np.fft.rfft(frames * _HANN)
        self.power += (spectrum.real**2 + spectrum.imag**2).sum(axis=0, dtype=np.float64)

    def facts(self, of: Facts) -> Facts:
        """The measurements, with those of the header that ``of`` holds."""
        means = self.totals / self.frames
        return replace(
            of,
            frames=self.frames,
            peak=self.peak,
            rms=float(np.sqrt(self.squares / (self.frames * of.channels))),
            dc=float(means[np.abs(means).argmax()]),
            bandwidth_hz=bandwidth(self.power, of.sample_rate),
            clipped=self.clipped,
            silent_share=self.silent / self.windows,
            sha256=self.digest.hexdigest(),
            fine=self.fine,
        )


_HANN = np.hanning(WINDOW).astype(np.float32)


def bandwidth(power: np.ndarray, sample_rate: int) -> float:
    """Finds the frequency above which a low-pass filter removed everything from a recording.

    The spectrum of recorded sound fades gradually towards high frequencies. A resampler or a lossy codec leaves a steep
    edge with nothing above it, which is searched for in ``BANDS`` bands of equal width.

    Args:
        power: averaged power spectrum from 0 Hz to the Nyquist frequency.
        sample_rate: [Hz].

    Returns:
        The frequency of the edge [Hz]; the Nyquist frequency where there is none.

    Shape:
        - power: [F], F = ``WINDOW // 2 + 1`` frequency bins
    """
    nyquist = sample_rate / 2
    if not power.any():
        return nyquist
    # Without the bin at 0 Hz there are WINDOW / 2 / BANDS = 8 bins a band. Their median is not raised by single tones,
    # such as the whine of a monitor above the cut.
    bands = np.median(power[1:].reshape(BANDS, -1), axis=1)
    levels = 10 * np.log10(np.maximum(bands / bands.max(initial=1e-30), 1e-15))
    # loudest_above[b] is the highest level of band b and all bands above it: a running maximum from the top down.
    loudest_above = np.maximum.accumulate(levels[::-1])[::-1]
    cuts = np.arange(int(EDGE_FROM * BANDS), int(EDGE_TO * BANDS) + 1)
    # ``cut`` is the first band that is gone. The level below it is the lower median of the bands from 0.8 of its
    # frequency up to it, which a lone partial does not raise. The level above is the highest from 1.1 of its frequency
    # on, since the edge of a filter is not infinitely steep.
    before = [np.sort(levels[int(0.8 * cut) : cut]) for cut in cuts]
    below = np.array([each[(len(each) - 1) // 2] for each in before])
    above = loudest_above[np.ceil(1.1 * cuts).astype(int)]
    falls = np.where(above <= FLOOR_DB, below - above, 0)
    best = int(falls.argmax())
    return float(cuts[best] / BANDS * nyquist) if falls[best] >= EDGE_DB else nyquist


def judge(
    facts: Sequence[Facts], clips: Sequence[Clip], *, sample_rate: int, segment: int | None
) -> list[AudioFinding]:
    """Derives the findings from the measurements of all clips.

    Args:
        facts: measurements of the clips.
        clips: what the corpus lists.
        sample_rate: the recipe's [Hz].
        segment: length of a training crop [samples at ``sample_rate``]; None reports no clip as too short.

    Returns:
        One finding for each kind of fault that at least one clip has, errors first.
    """
    found = [
        finding(code, [fact for fact in facts if fact.error == code], len(facts), text)
        for code, text in _FAULTS.items()
    ]
    sound = [fact for fact in facts if fact.error is None]

    def add(code: str, hit: Callable[[Facts], bool], text: Callable[[list[Facts]], str]) -> None:
        hits = [fact for fact in sound if hit(fact)]
        found.append(finding(code, hits, len(facts), text(hits) if hits else ""))

    def wrong_rate(hits: Sequence[Facts]) -> str:
        return f"are not at {sample_rate} Hz ({tally(f'{fact.sample_rate} Hz' for fact in hits)})"

    def is_short(fact: Facts) -> bool:
        # frames / rate < segment / sample_rate, as products of integers: the file may have another rate.
        return segment is not None and fact.frames * sample_rate < segment * fact.sample_rate

    add("wrong_rate", lambda fact: fact.sample_rate != sample_rate, wrong_rate)
    add("channels", lambda fact: fact.channels != 1, _say_channels)
    add("clipping", lambda fact: fact.clipped > 0, _say_clipping)
    add("beyond", lambda fact: fact.peak > 1 + 2**-15, _say_beyond)
    add("silence", lambda fact: fact.peak < SILENT_PEAK or fact.silent_share >= SILENT_SHARE, _say_silence)
    add("dc", lambda fact: abs(fact.dc) > DC, _say_dc)
    add("bandwidth", lambda fact: _is_cut(fact, sample_rate), _say_bandwidth)
    add("trailing", lambda fact: bool(fact.remark), _say_behind)
    add("short", is_short, lambda hits: f"are shorter than the segment of {segment} samples")
    found += copies(sound, clips, len(facts))
    found.append(recordings(sound, clips))
    return sorted((finding for finding in found if finding.ids), key=lambda finding: finding.severity)


def _is_cut(fact: Facts, sample_rate: int) -> bool:
    """Whether a clip has nothing above a cut that is left to see once it is brought to a lower rate [Hz]."""
    return fact.peak >= SILENT_PEAK and fact.bandwidth_hz < EDGE_TO * min(fact.sample_rate, sample_rate) / 2


def _say_channels(hits: Sequence[Facts]) -> str:
    return f"are not mono ({tally(f'{fact.channels} channels' for fact in hits)})"


def _say_clipping(hits: Sequence[Facts]) -> str:
    flattest = max(hits, key=lambda fact: fact.clipped)
    return f"are flat at full scale or beyond (up to {flattest.clipped} flat samples, in {flattest.id})"


def _say_beyond(hits: Sequence[Facts]) -> str:
    loudest = max(hits, key=lambda fact: fact.peak)
    kinds = tally(fact.subtype for fact in hits)
    return f"go beyond full scale, which their samples can ({kinds}; largest peak {loudest.peak:.3f}, in {loudest.id})"


def _say_behind(hits: Sequence[Facts]) -> str:
    return f"hold more than their audio, which is left out; first: {hits[0].id}: {hits[0].remark}"


def _say_silence(hits: Sequence[Facts]) -> str:
    quiet = sum(fact.peak < SILENT_PEAK for fact in hits)
    return f"are silent: {quiet} throughout (below -60 dBFS), {len(hits) - quiet} for half or more (zeros)"


def _say_dc(hits: Sequence[Facts]) -> str:
    worst = max(hits, key=lambda fact: abs(fact.dc))
    return f"have a mean beyond ±{DC} (up to {worst.dc:.3f}, in {worst.id})"


def _say_bandwidth(hits: Sequence[Facts]) -> str:
    lowest = min(hits, key=lambda fact: fact.bandwidth_hz)
    where = f"the lowest at about {lowest.bandwidth_hz:.0f} Hz, in {lowest.id}"
    return f"hold nothing above a sharp cut ({where}): raised from a lower rate, or from a lossy file"


#: Faults because of which a file cannot be read to its end, and how the report continues "3 of 10 clips …" for each.
_FAULTS = {
    "missing": "are listed but not there",
    "unreadable": "cannot be read as audio",
    "truncated": "end before their header says",
    "damaged": "are damaged",
    "concatenated": "hold more audio than is read of them",
    "empty": "hold no samples",
    "non_finite": "hold NaN or Inf",
}
