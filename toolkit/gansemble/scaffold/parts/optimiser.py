"""An optimiser: a function of parameters; how the rate changes is said by the recipe."""

from collections.abc import Iterable

import torch


def acme(
    parameters: Iterable[torch.nn.Parameter], *, lr: float = 2e-4, betas: tuple[float, float] = (0.8, 0.99)
) -> torch.optim.Optimizer:
    """Adam with Nesterov momentum (Dozat 2016).

    Args:
        parameters: of the network.
        lr: learning rate.
        betas: decay per step of the running means of the gradient and of its square.
    """
    return torch.optim.NAdam(list(parameters), lr=lr, betas=betas)
