"""Checks the parts of a recipe against each other before anything is built."""

from __future__ import annotations

from gansemble import inputs
from gansemble.contract import Contract
from gansemble.plugins import declarations
from gansemble.recipe import types
from gansemble.recipe.construct import declared_wrongly
from gansemble.recipe.contract import contract_of, filled
from gansemble.recipe.document import KeyPath
from gansemble.recipe.rules.abilities import abilities, clashes, classes, pitches, taught
from gansemble.recipe.rules.decoding import decodable
from gansemble.recipe.rules.features import features, given, judged, prior
from gansemble.recipe.rules.finding import Finding
from gansemble.recipe.rules.fit import domain, hop, latent, precision, rates, receptive_field, segment, shape
from gansemble.recipe.rules.growth import growth
from gansemble.recipe.rules.healing import healing
from gansemble.recipe.rules.perturbed import perturbed
from gansemble.recipe.rules.ranges import LIMITS
from gansemble.recipe.rules.restoration import baselines, degraded
from gansemble.recipe.rules.teacher import teacher
from gansemble.recipe.rules.validated import validated
from gansemble.recipe.rules.view import RecipeView
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import Part
from gansemble.recipe.task import open_task, task_of

#: Kinds whose parts hold numbers and no networks, and are built to see whether the numbers can be.
LIGHT = frozenset({"corpus", "regulariser", "monitor", "augmentation", "perturbation", "objective", "schedule"})


def _at_fault(part: Part, message: str) -> KeyPath:
    """The key of the parameter that an error message begins with; the part itself if it begins with none."""
    name = types.parameter_at_fault(message, types.signature(part.target))
    return part.path if name is None else (*part.path, name)


def examine(recipe: Recipe) -> list[Finding]:
    """All findings of a recipe: violated contracts, numbers out of range, and advice.

    If a contract cannot be computed, or a part cannot be built, only that and the limits of sections are reported,
    because rules between parts need all contracts. Of parts without networks, an object is built to see whether the
    numbers are accepted.
    """
    findings = []
    contracts: dict[KeyPath, Contract] = {}
    supplied = recipe.supplied()
    for part in recipe.parts():
        try:
            contracts[part.path] = contract_of(part, supplied)
        except Exception as error:  # of the part's own making
            shown = f"its contract needs the parameter {error}" if isinstance(error, KeyError) else str(error)
            if not isinstance(error, ValueError | TypeError | ArithmeticError | KeyError):
                shown = f"its contract fails: {type(error).__name__}: {error}"
            findings.append(Finding(_at_fault(part, shown), shown))
            continue
        if part.kind in LIGHT and not any(inputs.held(part.arguments)):  # what reads files is built when it is needed
            try:
                made = part.target(**filled(part, supplied))
            except Exception as error:
                if not isinstance(error, ValueError):
                    text = f"{part.use} cannot be built: {type(error).__name__}: {error}"
                    findings.append(Finding(part.path, text))
                    continue
                findings.append(Finding(_at_fault(part, str(error)), str(error)))
            else:
                wrong = declarations.fault(part.kind, made)
                findings += [Finding((*part.path, "use"), declared_wrongly(part, wrong))] if wrong else []
    generator = recipe.single["generator"]
    if not findings and task_of(recipe.generator_contract) is None:
        findings.append(Finding((*generator.path, "use"), open_task(f"generator ({generator.use})")))
    if findings:
        return [finding for limit in LIMITS for finding in limit(recipe) if not finding.advice] + findings
    view = RecipeView(recipe, contracts)
    findings += [finding for limit in LIMITS for finding in limit(recipe)]
    return findings + [finding for rule in RULES for finding in rule(view)]


RULES = (
    hop,
    segment,
    receptive_field,
    domain,
    shape,
    abilities,
    degraded,
    baselines,
    perturbed,
    clashes,
    classes,
    pitches,
    taught,
    features,
    given,
    judged,
    prior,
    latent,
    rates,
    precision,
    growth,
    healing,
    decodable,
    teacher,
    validated,
)
