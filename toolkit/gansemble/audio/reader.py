"""One way to read an audio file: from its beginning to its end, in blocks, and never less than the file holds without a word.

A file's length is what can be decoded. What its container states is held against that, for every container, since
decoders read a file that was cut, joined or damaged without an error.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
import soundfile

from gansemble.audio import containers
from gansemble.audio.containers import Layout, Patch
from gansemble.errors import DataError

#: Sample rates [Hz] that recordings have; a header with another one is damaged.
LOWEST_RATE, HIGHEST_RATE = 500, 1_600_000
MOST_CHANNELS = 256
#: Floating-point samples beyond it are no audio; whole numbers of 32 bits that were never scaled are.
HIGHEST_LEVEL = 2.0**32
#: What decoders of lossy formats leave out at both ends: encoders' delay and what fills the last frame [samples].
LOSSY_SLACK = 5 * 1152
BLOCK = 1 << 16
#: What is read at once of a file that is read as a whole.
WHOLE = 1 << 22

FaultCode = Literal["missing", "unreadable", "truncated", "damaged", "concatenated", "empty", "non_finite"]


class AudioFault(DataError):
    """An audio file cannot be read, or holds something else than it states.

    Args:
        code: the kind of fault, as the data doctor reports it.
        path: the file.
        text: the fault in words.
    """

    def __init__(self, code: FaultCode, path: Path, text: str) -> None:
        super().__init__(f"{path}: {text}; {ADVICE[code]}")
        self.code, self.path, self.text = code, path, text

    def __reduce__(self) -> tuple[type[AudioFault], tuple[FaultCode, Path, str]]:
        return AudioFault, (self.code, self.path, self.text)


ADVICE: dict[FaultCode, str] = {
    "missing": "check the path",
    "unreadable": "copy or download it again, or convert it to WAV or FLAC",
    "truncated": "copy or download it again, or convert what is there to a new file",
    "damaged": "copy or download it again, or convert what can be read to a new file",
    "concatenated": "split it, or convert all of it to one new file",
    "empty": "record or export it again",
    "non_finite": "write the file again from its source",
}


class _Forward(soundfile.SoundFile):
    """A file that is read from its beginning to its end only, as soundfile else seeks after each block.

    Seeking fails in files whose length is not stated, and is inexact in damaged ones.
    """

    def seekable(self) -> bool:
        return False


class AudioReader:
    """Reads an audio file from its beginning to its end; a context manager.

    Args:
        path: of the file.

    Raises:
        AudioFault: if the file is missing, is no audio, or its container says that it is not what it was: cut, damaged, or
            followed by another recording; with both lengths.

    Attributes:
        sample_rate: [Hz].
        channels: how many there are.
        stated: samples of each channel, as the decoder expects them; None where nothing states them.
        format, subtype: soundfile's names of the container and of the sample format, such as ``WAV`` and ``PCM_16``.
        sound: the soundfile object that decodes, for tags.
        remark: what is odd about the file and does no harm; empty where nothing is.
        done: samples of each channel that were read.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.done = path, 0
        layout = _layout(path)
        self.remark = layout.remark
        self._stream: _Mended | None = None
        self.sound = self._open(layout)
        self.sample_rate, self.channels = self.sound.samplerate, self.sound.channels
        self.format, self.subtype = self.sound.format, self.sound.subtype
        if not LOWEST_RATE <= self.sample_rate <= HIGHEST_RATE:
            self.close()
            raise AudioFault("damaged", path, f"its header states a sample rate of {self.sample_rate} Hz")
        if self.channels > MOST_CHANNELS:
            self.close()
            raise AudioFault("damaged", path, f"its header states {self.channels} channels")
        frames = self.sound.frames
        self.stated = frames if 0 <= frames < 1 << 60 else None
        # The decoder only guesses the length of an MP3, and counts on frames that it may not decode.
        self._there = self.stated if layout.samples is None else layout.samples

    def _open(self, layout: Layout) -> soundfile.SoundFile:
        try:
            if not layout.patches and layout.end is None:
                return _Forward(os.fsencode(self.path))
            self._stream = _Mended(self.path, layout.patches, layout.end)
            return _Forward(self._stream)
        except (soundfile.LibsndfileError, OSError, TypeError, RuntimeError) as error:
            # TypeError: a headerless format, whose parameters nothing states.
            self.close()
            reason = str(getattr(error, "error_string", None) or error).rstrip(".")
            if "not a regular file" in reason:  # what libsndfile says of a file that its MP3 decoder cannot use
                reason = "no kind of audio that libsndfile knows"
            size = self.path.stat().st_size
            raise AudioFault("unreadable", self.path, f"not readable as audio ({reason}); {size} bytes") from error

    def blocks(self, frames: int = BLOCK) -> Iterator[np.ndarray]:
        """Yields the audio from where reading stands, float32 [T, C], T up to ``frames`` samples of C channels.

        Raises:
            AudioFault: if decoding breaks off, or ends earlier or later than the file states; if a sample is NaN or
                infinite; or if there is none.
        """
        while True:
            try:
                block = self.sound.read(self._ahead(frames), dtype="float32", always_2d=True)
            except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
                reason = str(getattr(error, "error_string", None) or error).rstrip(".")
                raise AudioFault("damaged", self.path, f"decoding breaks off {self._so_far()} ({reason})") from error
            if not len(block):
                break
            self._demand_sensible(block)
            self.done += len(block)
            yield block
        self._demand_whole()

    def _ahead(self, frames: int) -> int:
        """How much to read next: no more than there seems to be, for which room would be made in vain."""
        if self.stated is None:
            return frames
        return min(frames, self.stated - self.done if self.done < self.stated else LOSSY_SLACK)

    def _demand_sensible(self, block: np.ndarray) -> None:
        highest = max(float(block.max()), -float(block.min()))  # NaN where a sample is
        if highest <= HIGHEST_LEVEL:
            return
        if np.isfinite(block).all():
            raise AudioFault("damaged", self.path, f"holds samples of {highest:.3g}, full scale being 1")
        first = self.done + int((~np.isfinite(block)).any(axis=1).argmax())
        raise AudioFault("non_finite", self.path, f"holds NaN or Inf, first at sample {first}")

    def read(self) -> np.ndarray:
        """All of the audio that is left, float32 [C, T]; raises what :meth:`blocks` raises."""
        found = list(self.blocks(WHOLE))
        return np.ascontiguousarray((np.concatenate(found) if len(found) > 1 else found[0]).T)

    @property
    def lossy(self) -> bool:
        """Whether the decoder leaves out parts of frames at the ends, and finds a place only by decoding up to it."""
        return self.subtype in ("VORBIS", "OPUS") or self.format in ("MP3", "MPEG")

    def skip(self, samples: int) -> None:
        """Passes over so many samples of each channel without decoding them, where the format allows it.

        ``done`` tells how far that was; as far as the file is long, at most.
        """
        if not self.lossy:
            self.done = self.sound.seek(min(samples, self.sound.frames))

    def _so_far(self) -> str:
        of = f" of {self.stated / self.sample_rate:.3f} s" if self.stated is not None else ""
        return f"after {self.done / self.sample_rate:.3f} s{of}"

    def _demand_whole(self) -> None:
        if self.done == 0:
            raise AudioFault("empty", self.path, "holds no samples, only a header")
        if self._there is not None and self._there - self.done > (LOSSY_SLACK if self.lossy else 0):
            states, holds = self._there / self.sample_rate, self.done / self.sample_rate
            raise AudioFault("damaged", self.path, f"it holds {states:.3f} s, and {holds:.3f} s of it can be decoded")

    def warn(self) -> None:
        """Says what is odd about the file, if anything is; not of itself, as the data doctor reports it otherwise."""
        if self.remark:
            logging.getLogger(__name__).warning("%s: %s", self.path, self.remark)

    def close(self) -> None:
        """Closes the file."""
        sound = getattr(self, "sound", None)
        if sound is not None:
            sound.close()
        if self._stream is not None:
            self._stream.close()

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _layout(path: Path) -> Layout:
    if not path.is_file():
        raise AudioFault("missing", path, "is a folder" if path.is_dir() else "no such file")
    try:
        if path.stat().st_size == 0:
            raise AudioFault("empty", path, "holds no samples, 0 bytes")
        layout = containers.inspect(path)
    except OSError as error:
        raise AudioFault("unreadable", path, f"cannot be opened ({error.strerror or error})") from error
    if layout.fault is not None:
        raise AudioFault(layout.fault.code, path, f"{layout.fault.code}: {layout.fault.text}")
    return layout


class _Mended(io.RawIOBase):
    """A file as a decoder is to see it: with bytes of its header replaced, and cut at its stated end.

    Args:
        path: of the file.
        patches: bytes in place of those of the file.
        end: where it ends [bytes]; None is its real end.
    """

    def __init__(self, path: Path, patches: Sequence[Patch], end: int | None) -> None:
        super().__init__()
        self._file = path.open("rb")
        size = os.fstat(self._file.fileno()).st_size
        self._patches, self._end = patches, size if end is None else min(end, size)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence) if whence != os.SEEK_END else self._file.seek(self._end + offset)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        begin = self._file.tell()
        view = memoryview(buffer).cast("B")[: max(0, self._end - begin)]
        count = self._file.readinto(view)
        for offset, content in self._patches:
            for place, byte in enumerate(content, offset - begin):
                if 0 <= place < count:
                    view[place] = byte
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
