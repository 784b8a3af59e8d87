"""gansemble: a plugin-based toolkit for adversarial audio synthesis.

This module imports pluggy and nothing heavier, so a plugin's ``from gansemble import hookimpl`` costs nothing.
"""

import pluggy

__version__ = "0.1.0"

hookspec = pluggy.HookspecMarker("gansemble")
hookimpl = pluggy.HookimplMarker("gansemble")

__all__ = ["__version__", "hookimpl", "hookspec"]
