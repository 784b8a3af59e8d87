"""The tiny recipe and corpus of ``tests/training``, which healing is tried on."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_PATH = Path(__file__).parent.parent / "training" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("workshop_of_training", _PATH)
assert _SPEC is not None and _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = _MODULE  # dataclasses look their module up
_SPEC.loader.exec_module(_MODULE)

one_thread, tools, workshop = _MODULE.one_thread, _MODULE.tools, _MODULE.workshop
