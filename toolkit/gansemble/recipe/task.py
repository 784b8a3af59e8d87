"""The task of a recipe, vocoding, generation or enhancement, computed from what its generator reads."""

from __future__ import annotations

from collections.abc import Set
from enum import StrEnum

from gansemble.contract import DEGRADED, GeneratorContract

#: What a generator may read besides conditioning signals.
NO_SIGNALS = frozenset({"latent", "label"})


class Task(StrEnum):
    """What a generator makes, and from what.

    Validation, stages 4 to 6 and the commands differ by task alone, not by anything else that a generator reads.
    """

    #: The waveform of a conditioning signal, such as a mel spectrogram.
    VOCODING = "vocoding"
    #: A clip of its own, of a latent vector, a label or a pitch.
    GENERATION = "generation"
    #: The clean recording of a degraded one.
    ENHANCEMENT = "enhancement"

    @property
    def imitates(self) -> bool:
        """Whether each generated clip imitates one real clip, so that the two can be compared."""
        return self is not Task.GENERATION

    @property
    def source(self) -> str:
        """What generated audio is made from, in words."""
        return {
            Task.VOCODING: "a mel spectrogram",
            Task.GENERATION: "a latent vector alone",
            Task.ENHANCEMENT: "a degraded recording",
        }[self]

    def command(self, exp: object) -> str:
        """The command that makes files with a trained generator of this task.

        Args:
            exp: folder of the experiment.
        """
        return {
            Task.VOCODING: f"gansemble synthesise --exp {exp} --input FILES",
            Task.GENERATION: f"gansemble sample --exp {exp}",
            Task.ENHANCEMENT: f"gansemble enhance --exp {exp} FILES",
        }[self]


def task_of(contract: GeneratorContract) -> Task | None:
    """The task of a generator with this contract; None if it does not declare what it reads."""
    if contract.reads is None:
        return None
    if DEGRADED in contract.reads:
        return Task.ENHANCEMENT
    return Task.VOCODING if contract.reads - NO_SIGNALS else Task.GENERATION


def open_task(use: str) -> str:
    """The message for a generator that does not declare what it reads, so that its task is unknown.

    Args:
        use: the generator, as messages name it.
    """
    return (
        f"{use} does not say what it reads, so it is open whether it makes the waveform of a mel spectrogram, clips of its "
        "own or the clean version of a degraded recording; let its contract say so, such as "
        'GeneratorContract(reads=frozenset({"mel"}))'
    )


def listed(reads: Set[str]) -> str:
    """What a generator reads, for messages."""
    return ", ".join(sorted(reads)) or "nothing"
