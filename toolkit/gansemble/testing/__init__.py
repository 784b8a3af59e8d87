"""The conformance kit: what every part of a kind must do, for any plugin's tests.

The whole test file of a plugin is::

    from gansemble.testing import for_plugin

    test_conformance = for_plugin("my_plugin")
"""

from __future__ import annotations

from collections.abc import Callable


def for_plugin(name: str) -> Callable[..., None]:
    """A pytest function with one test for every part of an installed plugin and every promise of its kind.

    If the plugin is not installed or cannot be loaded, it is one test that fails and says why.

    Args:
        name: of the plugin, as its entry point names it; ``plugin/part`` tests one part only.
    """
    from gansemble.testing.conformance import test_function

    return test_function(name)
