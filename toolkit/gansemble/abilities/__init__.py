"""Abilities: what a part can do besides what every part of its kind must do, as one small Protocol for each ability.

The toolkit asks ``isinstance(part, Protocol)`` of an object, and :func:`gansemble.plugins.signatures.has_ability` of a
class that is not built yet. Such a check sees only whether methods and attributes of these names are there, so the
conformance kit calls them. Imports no torch, so that a recipe can be checked quickly.
"""

from gansemble.abilities.corpora import DescribedCorpus, ProgressiveCorpus
from gansemble.abilities.metrics import (
    ClasswiseIntervals,
    ClasswiseMetric,
    DetailedMetric,
    FittedEmbedder,
    FittedMetric,
    IntervalMetric,
    LabelledAudio,
    ReferenceFree,
    SetMetric,
)
from gansemble.abilities.networks import (
    Aligned,
    Baseline,
    Growable,
    HasContext,
    JudgesItemsApart,
    MixesLabels,
    Standing,
    alignment,
    context_frames,
    items_apart,
    learns,
    mixes_labels,
)
from gansemble.abilities.parts import Contracted, Stateful
from gansemble.abilities.perturbations import FixedPerturbation, PairedPerturbation, Stretching, draws, suits_pairs
from gansemble.abilities.representations import (
    Fitted,
    HasDomain,
    PhasedRepresentation,
    PictureRepresentation,
    works_on_waveforms,
)
from gansemble.abilities.terms import (
    Adaptive,
    BeginsWithRun,
    Constraint,
    FittedItems,
    HearsClips,
    Monitored,
    NetworkMonitor,
    PairedObjective,
    PooledTerm,
    ReadsRealOutput,
    SuspiciousMonitor,
    needs_real_output,
    wants_real_scores,
)

__all__ = [
    "Adaptive",
    "Aligned",
    "Baseline",
    "BeginsWithRun",
    "ClasswiseIntervals",
    "ClasswiseMetric",
    "Constraint",
    "Contracted",
    "DescribedCorpus",
    "DetailedMetric",
    "Fitted",
    "FittedEmbedder",
    "FittedItems",
    "FittedMetric",
    "FixedPerturbation",
    "Growable",
    "HasContext",
    "HasDomain",
    "HearsClips",
    "IntervalMetric",
    "JudgesItemsApart",
    "LabelledAudio",
    "MixesLabels",
    "Monitored",
    "NetworkMonitor",
    "PairedObjective",
    "PairedPerturbation",
    "PhasedRepresentation",
    "PictureRepresentation",
    "PooledTerm",
    "ProgressiveCorpus",
    "ReadsRealOutput",
    "ReferenceFree",
    "SetMetric",
    "Standing",
    "Stateful",
    "Stretching",
    "SuspiciousMonitor",
    "alignment",
    "context_frames",
    "draws",
    "items_apart",
    "learns",
    "mixes_labels",
    "needs_real_output",
    "suits_pairs",
    "wants_real_scores",
    "works_on_waveforms",
]
