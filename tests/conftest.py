"""Settings of the whole suite."""

import os

import pytest

# Tensors here are tiny: threads cost more than they give, and spinning ones slow everything beside them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Broken plugins are what some tests are about; one test demands that none of ours is.
os.environ.pop("GANSEMBLE_STRICT", None)


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
