"""Settings of the whole suite."""

import os
from pathlib import Path

import pytest

# Tensors here are tiny: threads cost more than they give, and spinning ones slow everything beside them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Broken plugins are what some tests are about; one test demands that none of ours is.
os.environ.pop("GANSEMBLE_STRICT", None)

#: Markers of tests, by the beginning of their names: what ``make quick`` leaves out, where the files themselves do not say.
MARKED = {
    "cli/test_commands.py::test_every_part_can_be_described[discriminator-biggan": "slow",
    "cli/test_commands.py::test_every_part_can_be_described[generator-biggan": "slow",
    "contracts/": "slow",
    "papers/": "slow",
    "plugins/test_collapse.py": "slow",
    "plugins/test_corpus_classifier.py": "slow",
    "plugins/test_intra_fid_and_pictures.py": "slow",
    "recipes/test_continue_with.py": "end_to_end",
    "recipes/test_stages_end_to_end.py": "end_to_end",
    "papers/test_biggan_processes.py": "processes",
    "stages/test_up_to_date.py": "slow",
    "stages/test_up_to_date.py::test_sigterm_leaves_no_lock_and_no_half_made_pack": "kill",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by where they are."""
    here = Path(__file__).parent
    for item in items:
        if not item.path.is_relative_to(here):
            continue
        name = f"{item.path.relative_to(here).as_posix()}::{item.name}"
        for beginning, marker in MARKED.items():
            if name.startswith(beginning):
                item.add_marker(marker)
        if item.get_closest_marker("recipe") is not None:
            item.add_marker("end_to_end")


@pytest.fixture(scope="session")
def mark_done():
    """Notes stages of a project as done, on a corpus of whatever its folder holds."""

    def mark(project, names=None) -> None:
        from gansemble.stages import STAGES, Ledger, corpus_files
        from gansemble.stages.ledger import SOURCES

        project.data.mkdir(parents=True, exist_ok=True)
        corpus_files.record(project.dump / SOURCES, project.data, corpus_files.survey(project.data), {})
        ledger = Ledger(project)
        for stage in STAGES:
            if names is None or stage.name in names:
                packed = {} if stage.name == "prepare" else None
                ledger.finish(stage.name, ledger.beginning(stage.name), [], stage.name, packed)

    return mark
