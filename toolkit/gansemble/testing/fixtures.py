"""pytest fixtures for the tests of plugins; registered as a pytest plugin, so nothing needs to be imported."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def empty_plugins() -> Iterator[object]:
    """A plugin manager without any plugin; ``empty_plugins.add_module(name, module)`` adds what a test needs."""
    from gansemble.plugins.loading import Plugins

    yield Plugins(discover=False)
