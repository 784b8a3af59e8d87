"""Whether an exported file makes what the generator makes in torch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from gansemble.exporting.graph import NotExportable, quiet
from gansemble.exporting.plain import Inputs, PlainGenerator

#: The largest difference of a sample, of full scale 1, that is let pass; of items in another domain, of their largest value.
#: A generator that magnifies rounding may differ by more, if its file is no farther from float64 than this and twice what torch's
#: float32 is.
TOLERANCE = 1e-4
#: (items, length) that are compared: one frame, and three lengths that no network's steps divide.
FRAMES = ((1, 1), (1, 7), (2, 33), (3, 50))
SAMPLES = ((1, 1), (1, 777), (2, 2048), (3, 5001))
#: What is compared of a generator without signals, whose clips have one length: numbers of items.
ITEMS = ((1, 0), (2, 0), (3, 0))

#: Runs an exported file on the arrays of its inputs, in their order.
Run = Callable[[Sequence[np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Parity:
    """Differences between an exported file and torch.

    Args:
        differences: largest difference of a sample by (items, length).
        rounding: how far torch's float32 itself is from float64, where a difference is above :data:`TOLERANCE`; else None.
    """

    differences: dict[tuple[int, int], float]
    rounding: float | None = None

    @property
    def largest(self) -> float:
        """The largest of all."""
        return max(self.differences.values())

    def words(self, inputs: Inputs) -> str:
        """The comparison in a few words, for people."""
        sizes = ", ".join(str(length or items) for items, length in self.differences)
        unit = inputs.length_name or "clips"
        own = (
            ""
            if self.rounding is None
            else f"; it magnifies rounding: torch's own float32 is {self.rounding:.1e} from float64"
        )
        return f"largest difference to torch {self.largest:.1e}, at {sizes} {unit}{own}"

    def facts(self) -> dict[str, object]:
        """The same for a file's metadata."""
        each = [
            {"items": items, "length": length, "difference": found}
            for (items, length), found in self.differences.items()
        ]
        found: dict[str, object] = {"largest_difference": self.largest, "tolerance": TOLERANCE, "compared": each}
        return found if self.rounding is None else found | {"rounding_of_float32": self.rounding}


@torch.no_grad()
def compare(run: Run, plain: PlainGenerator, who: str) -> Parity:
    """Compares an exported file with torch on drawn inputs of several lengths.

    A length that torch itself refuses is left out.

    Args:
        run: the exported file.
        plain: the generator that it was made of.
        who: the generator, for messages.

    Raises:
        NotExportable: if the file fails, makes another shape, NaN where torch does not, or differs by more than
            :data:`TOLERANCE`, and not because torch's own float32 is as far from float64.
    """
    inputs = plain.inputs
    sizes = {"samples": SAMPLES, "frames": FRAMES}.get(inputs.length_name or "", ITEMS)
    found: dict[tuple[int, int], float] = {}
    roundings: list[float] = []
    for items, length in sizes:
        given = tuple(inputs.example(items, length, seed=length + items).tensors())
        try:
            expected = plain(*given).numpy()
        except (RuntimeError, ValueError):
            continue
        where = f"{who}: {length} {inputs.length_name}" if length else f"{who}: {items} clips"
        try:
            with quiet():
                made = run([tensor.numpy() for tensor in given])
        except Exception as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise NotExportable(
                f"{where} of {items} items, which torch makes, fail in the exported file ({first[:200]}); a size of the "
                "example was fixed on the way: write x.shape[0] for len(x), and loop over no size"
            ) from error
        apart = _difference(made, expected, where, plain.decode is None)
        if not apart <= TOLERANCE:  # NaN is none
            exact = _in_float64(plain, given)
            own = 0.0 if exact is None else _difference(expected, exact, where, plain.decode is None)
            if exact is None or not _difference(made, exact, where, plain.decode is None) <= TOLERANCE + 2 * own:
                raise NotExportable(
                    f"{where}: the exported file differs from torch by {apart:.2g}, more than {TOLERANCE:g}, so it was not written; "
                    "what depends on the values or the length was fixed on the way, or the generator magnifies rounding"
                )
            roundings.append(own)
        found[items, length] = apart
    if not found:
        raise NotExportable(f"{who}: torch makes none of the lengths that are compared")
    return Parity(found, max(roundings, default=None))


def _in_float64(plain: PlainGenerator, given: Sequence[Tensor]) -> np.ndarray | None:
    """What a generator makes in float64; None if it, or the decoding of what it makes, cannot."""
    network = copy.deepcopy(plain.generator).double()
    decode, owner = plain.decode, getattr(plain.decode, "__self__", None)
    if isinstance(owner, nn.Module):
        decode = getattr(copy.deepcopy(owner).double(), getattr(decode, "__name__", "decode"))
    doubled = tuple(tensor.double() if tensor.is_floating_point() else tensor for tensor in given)
    try:
        made = network(plain.condition(doubled))
        return np.asarray((made if decode is None else decode(made)).numpy()) if made.dtype == torch.float64 else None
    except (RuntimeError, TypeError, ValueError):
        return None


def _difference(made: np.ndarray, expected: np.ndarray, where: str, items: bool) -> float:
    """The largest difference of a sample; NaN where there is one.

    Raises:
        NotExportable: for another shape.
    """
    if made.shape != expected.shape:
        raise NotExportable(
            f"{where}: the exported file makes {list(made.shape)}, torch {list(expected.shape)}; what depends on the length "
            "was fixed on the way"
        )
    scale = max(1.0, float(np.abs(expected).max(initial=0))) if items else 1.0
    return float(np.abs(made.astype(np.float64) - expected).max(initial=0)) / scale


def onnx_run(path_or_bytes: str | bytes) -> Run:
    """Runs an ONNX file, or its bytes, by ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path_or_bytes, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]

    def run(arrays: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(session.run(None, dict(zip(names, arrays, strict=True)))[0])

    return run
