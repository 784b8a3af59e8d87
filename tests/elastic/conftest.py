"""The ground that runs of this folder train on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from elastic_ground import Ground, prepared


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    made = prepared(tmp_path_factory.mktemp("elastic"))
    yield made
    made.end()
