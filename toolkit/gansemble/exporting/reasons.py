"""Why torch could not export a network, in one line: the operation, and the line of the network's code."""

from __future__ import annotations

import linecache
import re
import traceback
from pathlib import Path

#: Packages whose frames in a traceback are not the network's.
_TOOLS = ("torch", "onnxscript", "onnx_ir", "onnx")
_HERE = Path(__file__).parent
#: What a message of torch says of a value that decides what is computed.
_DATA_DEPENDENT = ("data-dependent", "data dependent", "unbacked", "Could not guard")


def reason(error: BaseException) -> str:
    """What kept a network from being exported, in one line.

    Args:
        error: what torch raised.
    """
    chain = list(_chain(error))
    text = " ".join(" ".join(str(each).split()) for each in chain)
    found = [place for each in chain if (place := _place(each)) is not None]
    place = found[0] if found else _named(text)
    what = _what(chain, text)
    return what if place is None else f"{place}: {what}"


def _chain(error: BaseException | None) -> list[BaseException]:
    """An error with those that it came of, the last one first."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _place(error: BaseException) -> str | None:
    """The innermost line of a network's own code in a traceback; None where there is none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        foreign = any(part in _TOOLS for part in path.parts) or path.parent == _HERE
        if not foreign and path.suffix == ".py":
            return _shown(frame.filename, frame.lineno or 0)
    return None


def _named(text: str) -> str | None:
    """A line of code that a message names, of the form that torch gives."""
    for path, line in reversed(re.findall(r'File "([^"]+)", line (\d+)', text)):
        if not any(part in _TOOLS for part in Path(path).parts) and Path(path).parent != _HERE:
            return _shown(path, int(line))
    return None


def _shown(path: str, line: int) -> str:
    return f"{path}:{line}: {linecache.getline(path, line).strip() or '?'}"


def _what(chain: list[BaseException], text: str) -> str:
    operation = re.search(r"op='((?:aten|prims|torchvision)[\w:.]+)'", text) or re.search(r"\b(aten[.:]+\w+)", text)
    named = f" ({operation[1]})" if operation else ""
    if any(word in text for word in _DATA_DEPENDENT):
        return (
            f"what it computes depends on the values that it is given{named}: a condition, int(), float() or .item() of a "
            "tensor cannot be part of a graph; use torch.where, or skip the check where torch.compiler.is_exporting()"
        )
    if "No ONNX function found" in text or "DispatchError" in {type(each).__name__ for each in chain}:
        return f"the operation{named} has no counterpart in ONNX"
    if "Constraints violated" in text or "specialized" in text:
        return (
            "the number of items or the length is fixed on the way: write x.shape[0] for len(x), and loop over no size"
        )
    first = str(chain[-1]).strip().splitlines() or [""]
    return f"{type(chain[-1]).__name__}: {first[0][:300]}{named}"
