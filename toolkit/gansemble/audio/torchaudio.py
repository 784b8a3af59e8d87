"""The only module that imports torchaudio: its functional and transform parts, usable beside any build of torch.

torchaudio's wheel contains a compiled extension for one CUDA version. Beside a CPU build of torch its import raises
``OSError`` (``libc10_cuda.so``), beside another CUDA version ``RuntimeError``. Only torchaudio's Python code is used
here, so in these cases it is imported once more, with its extension module replaced by a stand-in that reports that
there is no extension.
"""

from __future__ import annotations

import importlib.machinery
import sys
import types
from collections.abc import Callable

#: Why the compiled extension is off, or None when it loaded; shown by ``gansemble doctor``.
extension_problem: str | None = None


def _stand_in() -> types.ModuleType:
    """A module that answers torchaudio's questions about its extension with "there is none"."""
    module = types.ModuleType("torchaudio._extension")
    module.__spec__ = importlib.machinery.ModuleSpec("torchaudio._extension", loader=None)

    def fail_if_no_align(function: object) -> Callable[..., object] | None:
        def unavailable(*_: object, **__: object) -> object:
            raise RuntimeError("forced alignment needs torchaudio's compiled extension, which does not load here")

        return unavailable if function is not None else None

    for name, value in {
        "_IS_TORCHAUDIO_EXT_AVAILABLE": False,
        "_IS_ALIGN_AVAILABLE": False,
        "_IS_RIR_AVAILABLE": False,
        "fail_if_no_align": fail_if_no_align,
        "lazy_import_sox_ext": lambda: None,
    }.items():
        setattr(module, name, value)
    return module


def _load() -> tuple[types.ModuleType, types.ModuleType]:
    global extension_problem
    try:
        import torchaudio.functional as functional
        import torchaudio.transforms as transforms
    except (ImportError, OSError, RuntimeError) as error:
        extension_problem = f"{type(error).__name__}: {error}"
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules["torchaudio._extension"] = _stand_in()
        import torchaudio.functional as functional
        import torchaudio.transforms as transforms
    return functional, transforms


functional, transforms = _load()
