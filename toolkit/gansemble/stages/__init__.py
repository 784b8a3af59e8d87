"""The seven stages of a recipe, from fetching the corpus to the report, and which of them are up to date.

Every recipe has the same stages. Each is done, stale (with the reasons) or missing. Nothing here imports torch, so that
this is told at once.
"""

from gansemble.stages.ledger import Ledger, StageState
from gansemble.stages.project import Project
from gansemble.stages.stage import BY_NAME, STAGES, Stage, parse

__all__ = ["BY_NAME", "STAGES", "Ledger", "Project", "Stage", "StageState", "parse"]
