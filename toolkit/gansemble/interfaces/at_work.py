"""Parts at work: an error of a part, or something that it returns and the toolkit cannot use, is told with the part's name.

Imports no torch.
"""

from __future__ import annotations

import traceback
from types import TracebackType

from gansemble.errors import GansembleError, PartError

#: Longest text of a part's own error in a message [characters]; that of torch may list a whole tensor.
LONGEST = 600
#: Folders of what parts call.
_NOT_ITS_OWN = ("/torch/", "/gansemble/interfaces/", "<string>")
_REMEDY = "change its parameters, or tell its author; GANSEMBLE_TRACEBACK=1 shows the whole traceback"


class AtWork:
    """Context manager that makes an error within it one of the named part.

    A :class:`gansemble.errors.GansembleError` is left as it is, as a part that raises one has said itself what is wrong;
    so is a lack of memory, which is no fault of the part that happens to ask last.

    Args:
        who: the part, as ``losses.mel (mel_l1)``.
        doing: what it was asked for, such as ``in the generator's turn of step 3``; may be empty.
    """

    __slots__ = ("doing", "who")

    def __init__(self, who: str, doing: str = "") -> None:
        self.who, self.doing = who, doing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, GansembleError | MemoryError):
            if type(error).__name__ == "OutOfMemoryError":  # of torch, which is not imported for it
                return
            said = str(error)
            said = said if len(said) <= LONGEST else f"{said[:LONGEST]} […]"
            frames = traceback.extract_tb(trace)[1:]  # the first one is the caller's
            own = [frame for frame in frames if not any(each in frame.filename for each in _NOT_ITS_OWN)] or frames
            place = f" at {own[-1].filename}:{own[-1].lineno}" if own else ""
            doing = f" {self.doing}" if self.doing else ""
            raise PartError(f"{self.who} failed{doing}: {type(error).__name__}: {said}{place}; {_REMEDY}") from error


def wrong(who: str, expected: str, got: object) -> PartError:
    """The error for a part that returns something the toolkit cannot use.

    Args:
        who: the part.
        expected: what it should return.
        got: what it did.
    """
    return PartError(f"{who} must return {expected}, got {shown(got)}; {_REMEDY}")


def shown(value: object) -> str:
    """A value for a message: a tensor or an array by its type and shape."""
    dtype, shape, device = (getattr(value, name, None) for name in ("dtype", "shape", "device"))
    if dtype is not None and shape is not None:
        place = "" if device is None or str(device) == "cpu" else f" on {device}"
        return f"{str(dtype).removeprefix('torch.')} {list(shape)}{place}"
    if isinstance(value, tuple | list):
        return (
            f"{type(value).__name__} of {', '.join(map(shown, value[:4]))}"
            if value
            else f"an empty {type(value).__name__}"
        )
    return f"{type(value).__name__} {value!r}"[:LONGEST]
