"""The interface of each kind of part, as a Protocol, and the dataclasses that are passed between parts.

Letters in shapes: B items of a mini-batch, C channels, T samples, F features (such as mel bands), L frames, N scores of
an item, K classes, Z numbers of a latent vector. A part need not inherit from its Protocol; it needs the methods. As a
Protocol check says little about an ``nn.Module``, the conformance kit (:mod:`gansemble.testing`) calls every part.
"""

from gansemble.interfaces.data import Augmentation, Corpus, Degradation, Embedder, Feature, Metric, Perturbation, Score
from gansemble.interfaces.networks import (
    Alarm,
    Batch,
    Condition,
    Discriminator,
    DiscriminatorOutput,
    DiscriminatorOutputs,
    Generator,
    LearningRateSchedule,
    Monitor,
    NoiseInjector,
    Objective,
    Observer,
    Representation,
    Step,
    Term,
    Turn,
    as_outputs,
    confidence,
    zero,
)

__all__ = [
    "Alarm",
    "Augmentation",
    "Batch",
    "Condition",
    "Corpus",
    "Degradation",
    "Discriminator",
    "DiscriminatorOutput",
    "DiscriminatorOutputs",
    "Embedder",
    "Feature",
    "Generator",
    "Metric",
    "Monitor",
    "NoiseInjector",
    "Objective",
    "Observer",
    "Perturbation",
    "Representation",
    "LearningRateSchedule",
    "Score",
    "Step",
    "Term",
    "Turn",
    "as_outputs",
    "confidence",
    "zero",
]
