"""torch's optimisers with keyword parameters that a recipe can check; the fused kernels, on the CPU too."""

from collections.abc import Iterable

import torch
from torch import nn


def adamw(
    parameters: Iterable[nn.Parameter],
    *,
    lr: float = 2e-4,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019); torch's default weight decay, as HiFi-GAN uses it."""
    return torch.optim.AdamW(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True)


def adam(
    parameters: Iterable[nn.Parameter],
    *,
    lr: float = 1e-4,
    betas: tuple[float, float] = (0.5, 0.9),
    eps: float = 1e-8,
) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba 2015)."""
    return torch.optim.Adam(parameters, lr=lr, betas=betas, eps=eps, fused=True)


def rmsprop(parameters: Iterable[nn.Parameter], *, lr: float = 5e-5, alpha: float = 0.99) -> torch.optim.Optimizer:
    """RMSprop, as the first Wasserstein GAN used it."""
    return torch.optim.RMSprop(parameters, lr=lr, alpha=alpha)


def sgd(parameters: Iterable[nn.Parameter], *, lr: float = 0.1, momentum: float = 0.0) -> torch.optim.Optimizer:
    """Stochastic gradient descent."""
    return torch.optim.SGD(parameters, lr=lr, momentum=momentum)
