"""pytest fixtures for plugins' tests; a pytest plugin, so nothing needs importing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def empty_plugins() -> Iterator[object]:
    """A plugin manager that discovers nothing: ``empty_plugins.add_module(name, module)`` what a test needs."""
    from gansemble.plugins.loading import Plugins

    yield Plugins(discover=False)
