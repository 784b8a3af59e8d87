"""The ground that runs of this folder train on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from elastic_ground import Ground, prepared


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    made = prepared(tmp_path_factory.mktemp("elastic"))
    yield made
    made.end()


@pytest.fixture(scope="session")
def short(ground: Ground) -> Path:
    """The shorter run, which nothing happens to."""
    exp = ground.exp("short")
    ground.trainer(exp).run()
    return exp
