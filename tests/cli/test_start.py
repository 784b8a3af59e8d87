"""What a command spares itself when it starts and ends."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gansemble.cli.garbage import uncollected
from gansemble.plugins.loading import Plugins

V1 = Path(__file__).parents[2] / "egs" / "ljspeech" / "specdiff" / "conf" / "v1.yaml"
CHECK = f"""
import atexit, gc, sys

def tell():
    print("torchaudio" in sys.modules, gc.isenabled(), gc.get_freeze_count() > 100_000)

atexit.register(tell)  # is called after what main registers
from gansemble.cli import main
main(["check", {str(V1)!r}])
"""


@pytest.mark.slow
def test_a_check_imports_no_torchaudio_and_its_end_is_not_searched_for_garbage():
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "False True True", done.stdout


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_afterwards_as_it_was(enabled):
    """After an error, too; and within another."""
    if not enabled:
        gc.disable()
    try:
        with pytest.raises(KeyError), uncollected():
            with uncollected():
                pass
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() is enabled
    finally:
        gc.enable()


def test_a_distributions_metadata_are_read_once_for_all_its_entry_points():
    class Distribution:
        asked = 0

        @property
        def name(self) -> str:
            self.asked += 1
            return "some-plugins"

        version = "2.0"

    both = Distribution()
    points = [SimpleNamespace(name=name, value=f"{name}:X", dist=both) for name in ("b", "a", "a")]
    origins = Plugins(discover=False)._origins
    assert [point.name for point in origins.once(points)] == ["a", "b"]
    assert {origins.source(point).requirement() for point in points} == {"some-plugins>=2.0"}
    assert both.asked == 1
    assert origins.source(SimpleNamespace(name="c", value="c:X", dist=None)).distribution is None
