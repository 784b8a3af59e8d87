"""Nested state, such as an optimiser's, as JSON and safetensors: written without pickle, and read back bitwise the same.

JSON holds numbers, text, lists and dictionaries; what JSON has no values for stands in it as an object with one key that
begins with ``$``: ``{"$tensor": NAME}`` for a tensor of that name in the safetensors file, ``{"$tuple": […]}``,
``{"$entries": [[KEY, VALUE], …]}`` for a dictionary whose keys are not all text, and ``{"$float": "nan"}``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from gansemble.errors import BundleError, DataError
from gansemble.files import give_usual_mode, write_atomically
from gansemble.stages import json_files

TENSOR, TUPLE, ENTRIES, FLOAT = "$tensor", "$tuple", "$entries", "$float"
#: What safetensors holds.
DTYPES = frozenset(
    {
        torch.float64,
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.bool,
    }
)


def write(folder: Path, name: str, value: object, source: str) -> None:
    """Writes ``NAME.json`` and, if there are tensors, ``NAME.safetensors``.

    Args:
        folder: where.
        name: of both files, without the suffix.
        value: dictionaries, lists, tuples, text, numbers, None and tensors, within each other.
        source: of the value, such as a file, for messages.

    Raises:
        BundleError: if the value holds anything else; it says where.
        OSError: if a file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    tree = _tree(value, (), tensors, source)
    if tensors:
        path = folder / f"{name}.safetensors"
        save_file(tensors, path)
        give_usual_mode(path)
    write_atomically(folder / f"{name}.json", json.dumps(tree, indent=1, allow_nan=False))


def read(folder: Path, name: str, remedy: str) -> object:
    """What :func:`write` wrote, with tensors on the CPU.

    Args:
        folder, name: as :func:`write` has them.
        remedy: what to do about files that are damaged, as the end of a message.

    Raises:
        BundleError: if a file is missing, cannot be read, or holds anything that :func:`write` does not write.
    """
    path, weights = folder / f"{name}.json", folder / f"{name}.safetensors"
    try:
        tree = json_files.read(path, object, remedy)
        tensors = load_file(weights) if weights.is_file() else {}
        unused = set(tensors)
        value = _value(tree, tensors, unused)
    except DataError as error:
        raise BundleError(str(error)) from error
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{weights}: not readable as tensors ({error}); {remedy}") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: damaged ({error or 'nested too deeply'}); {remedy}") from error
    if unused:
        raise BundleError(f"{weights}: holds {min(unused)}, which {path.name} does not name; {remedy}")
    return value


def _tree(value: object, place: tuple[str, ...], tensors: dict[str, Tensor], source: str) -> object:
    """The value as JSON has it; its tensors are added to ``tensors``, named by their place."""
    where = ".".join(place) or "the whole"
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {FLOAT: repr(value)}
    if isinstance(value, Tensor):
        if value.dtype not in DTYPES or value.layout != torch.strided or value.is_quantized:
            what = f"a tensor of {value.dtype}, {value.layout}".replace("torch.", "")
            raise BundleError(f"{source}: {where} is {what}, which safetensors cannot hold; leave that part out")
        name = ".".join(place)
        while name in tensors:  # a text key may have the dots of two keys
            name += "'"
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {TENSOR: name}
    if type(value) in (list, tuple):
        items = [_tree(item, (*place, str(index)), tensors, source) for index, item in enumerate(value)]  # type: ignore[arg-type, var-annotated]
        return items if type(value) is list else {TUPLE: items}
    if isinstance(value, Mapping):
        plain = all(type(key) is str and not key.startswith("$") for key in value)
        if not plain and not all(type(key) in (bool, int, str) for key in value):
            odd = next(key for key in value if type(key) not in (bool, int, str))
            raise BundleError(
                f"{source}: {where} has the key {odd!r}; a bundle holds keys that are text or whole numbers"
            )
        made = {key: _tree(item, (*place, str(key)), tensors, source) for key, item in value.items()}
        return made if plain else {ENTRIES: [[key, item] for key, item in made.items()]}
    raise BundleError(
        f"{source}: {where} is a {type(value).__name__}; a bundle holds tensors, numbers, text and containers of them"
    )


def _value(tree: object, tensors: Mapping[str, Tensor], unused: set[str]) -> object:
    """The value that a tree stands for.

    Raises:
        ValueError: if it stands for none.
    """
    if isinstance(tree, list):
        return [_value(item, tensors, unused) for item in tree]
    if not isinstance(tree, dict):
        if type(tree) is float and not math.isfinite(tree):
            raise ValueError(f"{tree} is no number of JSON")
        return tree
    mark = next((key for key in tree if key.startswith("$")), None)
    if mark is None:
        return {key: _value(item, tensors, unused) for key, item in tree.items()}
    held = tree[mark]
    if len(tree) == 1 and mark == TENSOR and isinstance(held, str) and held in unused:
        unused.remove(held)
        return tensors[held]
    if len(tree) == 1 and mark == TUPLE and isinstance(held, list):
        return tuple(_value(item, tensors, unused) for item in held)
    if len(tree) == 1 and mark == FLOAT and held in ("nan", "inf", "-inf"):
        return float(held)
    if len(tree) == 1 and mark == ENTRIES and isinstance(held, list) and all(map(_is_entry, held)):
        return {key: _value(item, tensors, unused) for key, item in held}
    raise ValueError(f"{json.dumps(tree)[:80]} stands for nothing, or for a tensor that is not there")


def _is_entry(pair: object) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and type(pair[0]) in (bool, int, str)
