"""What a container says of the audio in it, beside what the file holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Literal, NamedTuple

FaultCode = Literal["truncated", "damaged", "concatenated"]

#: How audio files begin: what follows the end of one and begins like this is another recording.
BEGINNINGS = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b"caff", b".snd", b"dns.", b"fLaC", b"OggS")


class Fault(NamedTuple):
    """Why a file does not hold what its container says.

    Args:
        code: ``truncated``: it ends too early; ``damaged``: a piece in the middle is missing or altered, or the header
            contradicts itself; ``concatenated``: another recording follows, which decoders leave out.
        text: the fault in words, with what is stated and what is there.
    """

    code: FaultCode
    text: str


class Patch(NamedTuple):
    """Bytes that a decoder is given in place of those of the file, as where a size was never filled in."""

    offset: int
    content: bytes


@dataclass(frozen=True)
class Layout:
    """What was found in a container.

    Args:
        fault: why the file cannot be used as it is; None where nothing speaks against it.
        remark: what is odd about it and does no harm, such as bytes behind the audio; empty where nothing is.
        patches: sizes that a streaming writer could not fill in, with which a decoder reads all that is there.
        end: where the file ends for a decoder [bytes]; None is its real end.
        samples: of each channel that the pieces of the file make, as far as their headers tell it without decoding them;
            None where they do not.
    """

    fault: Fault | None = None
    remark: str = ""
    patches: tuple[Patch, ...] = ()
    end: int | None = None
    samples: int | None = None


def seconds(amount: float, rate: float) -> str:
    """So many bytes or samples as a length for messages; bytes where the rate per second is not known."""
    return f"{amount / rate:.3f} s" if rate > 0 else f"{amount:.0f} bytes"


def counted(amount: int) -> str:
    """So many bytes, for messages."""
    return f"{amount} byte{'s' * (amount != 1)}"


def behind(stream: BinaryIO, start: int, size: int, rate: float) -> tuple[Fault | None, str]:
    """Judges the bytes that follow the end of the audio.

    Args:
        stream: the file.
        start: where the bytes begin.
        size: of the file.
        rate: bytes of uncompressed audio in a second; 0 where the audio is compressed, or that is not known.

    Returns:
        (the fault, where another recording follows or the header states far less than there is; the remark, where the
        bytes do no harm).
    """
    extra = size - start
    if extra <= 0:
        return None, ""
    stream.seek(start)
    head = stream.read(65536)
    if head[:16].lstrip(b"\0").startswith(BEGINNINGS):  # some writers align what follows
        return Fault("concatenated", f"another recording of {extra} bytes follows its end, which would be left out"), ""
    if not head.strip(b"\0") and not _any(stream):
        # Up to a sample's bytes are how writers align what they write.
        return None, f"{counted(extra)} of zeros follow the end of its audio" if extra >= 8 else ""
    if head.startswith((b"TAG", b"ID3", b"APETAGEX")):
        return None, ""
    if rate and extra > LONGEST_REST * rate:
        return Fault(
            "concatenated",
            f"{extra} bytes, which may be {seconds(extra, rate)} of audio, follow the end that its header states",
        ), ""
    return None, f"{counted(extra)} that are no audio follow its end"


#: Bytes behind the stated end that would be more audio than this [s] are not taken for a leftover.
LONGEST_REST = 0.05


def _any(stream: BinaryIO) -> bool:
    """Whether anything but zeros is left in a stream."""
    while block := stream.read(1 << 20):
        if block.strip(b"\0"):
            return True
    return False
