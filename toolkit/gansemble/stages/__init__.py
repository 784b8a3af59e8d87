"""Stages: the same seven in every recipe, each knowing whether it is done, stale (and why) or missing. Imports no torch."""

from gansemble.stages.ledger import Ledger, StageState
from gansemble.stages.project import Project
from gansemble.stages.stage import BY_NAME, STAGES, Stage, parse

__all__ = ["BY_NAME", "STAGES", "Ledger", "Project", "Stage", "StageState", "parse"]
