"""Softplus: the non-saturating objective with a margin."""

import torch.nn.functional as F
from torch import Tensor

from gansemble import hookimpl


@hookimpl
def gansemble_register(register):
    register("objective", "softplus", "my_plugin:Softplus", "one line for `gansemble plugins list`")


class Softplus:
    """mean softplus(margin - real) + mean softplus(margin + fake); the generator's: mean softplus(margin - fake).

    Args:
        margin: how far scores are pushed from zero.
    """

    def __init__(self, *, margin: float = 0.0) -> None:
        self.margin = margin

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        return F.softplus(self.margin - real_score.float()).mean() + F.softplus(self.margin + fake_score.float()).mean()

    def generator(self, fake_score: Tensor) -> Tensor:
        return F.softplus(self.margin - fake_score.float()).mean()
