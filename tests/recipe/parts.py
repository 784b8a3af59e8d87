"""Parts that exist to disagree: one for each contract between parts."""

from typing import Any

import torch
from torch import Tensor, nn

from gansemble import hookimpl
from gansemble.contract import (
    CorpusContract,
    DiscriminatorContract,
    GeneratorContract,
    RepresentationContract,
    TermContract,
)
from gansemble.interfaces import Condition, DiscriminatorOutput, Step, Turn


@hookimpl
def gansemble_register(register: Any) -> None:
    """Named after what they are good for."""
    here = __name__
    register("representation", "picture", f"{here}:Picture")
    register("generator", "from_noise", f"{here}:FromNoise")
    register("generator", "sung", f"{here}:Sung")
    register("generator", "own", f"{here}:Own")
    register("discriminator", "picture_critic", f"{here}:PictureCritic")
    register("discriminator", "class_critic", f"{here}:ClassCritic")
    register("discriminator", "mute_critic", f"{here}:MuteCritic")
    register("discriminator", "farsighted", f"{here}:Farsighted")
    register("regulariser", "square", f"{here}:Square")
    register("regulariser", "latent_recovery", f"{here}:LatentRecovery")
    register("regulariser", "single", f"{here}:Single")
    register("corpus", "choir", f"{here}:Choir")
    register("corpus", "ten_words", f"{here}:TenWords")


class Picture:
    """Magnitudes [B, 1, bins, T / hop]."""

    domain = "picture"

    def __init__(self, *, bins: int = 32, segment: int, hop: int = 256) -> None:
        pass

    def encode(self, audio: Tensor) -> Tensor:
        return audio

    def decode(self, x: Tensor) -> Tensor:
        return x

    @staticmethod
    def contract(parameters: dict[str, Any]) -> RepresentationContract:
        frames = parameters["segment"] // parameters["hop"]
        return RepresentationContract(
            domain="picture", shape=(1, parameters["bins"], frames), because={"shape": "bins"}
        )


class FromNoise(nn.Module):
    """A waveform of a mel spectrogram and a latent vector, of a class if there are any."""

    context_frames = None

    def __init__(self, *, latent: int = 100, classes: int | None = None, domain: str = "waveform") -> None:
        super().__init__()

    def forward(self, condition: Condition) -> Tensor:
        return torch.zeros(1)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        labelled = parameters["classes"] is not None
        return GeneratorContract(
            reads=frozenset({"mel", "latent", "label"} if labelled else {"mel", "latent"}),
            domain=parameters["domain"],
            latent=parameters["latent"],
            classes=parameters["classes"],
            granularity=4096 if parameters["domain"] == "waveform" else None,
            because={"latent": "latent", "classes": "classes", "domain": "domain"},
        )


class Sung(FromNoise):
    """A note of a pitch."""

    def __init__(self, *, pitches: tuple[int, int] = (24, 84)) -> None:
        super().__init__()

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        return GeneratorContract(
            reads=frozenset({"mel", "latent"}),
            latent=100,
            needs=frozenset({"pitch"}),
            pitches=parameters["pitches"],
            because={"pitches": "pitches"},
        )


class Own(FromNoise):
    """Clips that imitate none."""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        return GeneratorContract(reads=frozenset({"latent"}), latent=8)


class MuteCritic(nn.Module):
    """Scores and nothing else."""

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        return DiscriminatorOutput(x.flatten(1))


class PictureCritic(nn.Module):
    """Judges pictures of one size."""

    def __init__(self, *, bins: int = 32) -> None:
        super().__init__()

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        return DiscriminatorOutput(x.flatten(1))

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        return DiscriminatorContract(domain="picture", shape=(1, parameters["bins"], None), because={"shape": "bins"})


class ClassCritic(MuteCritic):
    """Judges ten classes."""

    def __init__(self, *, classes: int | None = 10) -> None:
        super().__init__()

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        return DiscriminatorContract(classes=parameters["classes"], because={"classes": "classes"})


class Farsighted(MuteCritic):
    """Sees a minute."""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        return DiscriminatorContract(receptive_field=1_000_000)


class Single:
    """A term of float32 only."""

    turns = frozenset({"discriminator"})

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return step.real.mean()

    @staticmethod
    def contract(parameters: dict[str, Any]) -> TermContract:
        return TermContract(precisions=frozenset({"no", "bf16"}))


class Square(Single):
    """A term of square pictures."""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> TermContract:
        return TermContract(domain="picture", square=True)


class LatentRecovery(Single):
    """Reads the latent vector back."""

    def __init__(self, *, latent: int = 64) -> None:
        pass

    @staticmethod
    def contract(parameters: dict[str, Any]) -> TermContract:
        return TermContract(latent=parameters["latent"], because={"latent": "latent"})


class Choir:
    """Notes from 21 to 108."""

    def __init__(self, *, compass: tuple[int, int] = (21, 108)) -> None:
        pass

    def fetch(self, folder: Any) -> None: ...

    def scan(self, folder: Any) -> list[Any]:
        return []

    def mini(self, folder: Any) -> None: ...

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        return CorpusContract(gives=frozenset({"pitch"}), pitches=parameters["compass"], because={"pitches": "compass"})


class TenWords(Choir):
    """Ten classes."""

    def __init__(self) -> None:
        pass

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        return CorpusContract(gives=frozenset({"labels"}), classes=10)
