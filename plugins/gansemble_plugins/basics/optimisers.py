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
    """AdamW (Loshchilov and Hutter 2019); torch's default weight decay, as HiFi-GAN uses it.

    Args:
        lr: learning rate.
        betas: of the running means of the gradient and its square.
        eps: added to the root of the second.
        weight_decay: share of the weights taken off in a step, times the learning rate.
    """
    return torch.optim.AdamW(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True)


def adam(
    parameters: Iterable[nn.Parameter],
    *,
    lr: float = 1e-4,
    betas: tuple[float, float] = (0.5, 0.9),
    eps: float = 1e-8,
) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba 2015).

    Args:
        lr: learning rate.
        betas: of the running means of the gradient and its square.
        eps: added to the root of the second.
    """
    return torch.optim.Adam(parameters, lr=lr, betas=betas, eps=eps, fused=True)


def rmsprop(
    parameters: Iterable[nn.Parameter], *, lr: float = 5e-5, alpha: float = 0.99, clip_weights: float | None = None
) -> torch.optim.Optimizer:
    """RMSprop, as the first Wasserstein GAN used it.

    Args:
        lr: learning rate.
        alpha: of the running mean of the squared gradient.
        clip_weights: largest magnitude of a weight after each step (Arjovsky et al. 2017: 0.01); null is none.

    Raises:
        ValueError: if ``clip_weights`` is not positive.
    """
    if clip_weights is not None and clip_weights <= 0:
        raise ValueError(f"clip_weights must be positive or null, got {clip_weights:g}")
    optimiser = torch.optim.RMSprop(parameters, lr=lr, alpha=alpha)
    if clip_weights is not None:
        bound = clip_weights

        def clip(stepped: torch.optim.Optimizer, *_: object) -> None:
            with torch.no_grad():
                for group in stepped.param_groups:
                    for weight in group["params"]:
                        weight.clamp_(-bound, bound)

        optimiser.register_step_post_hook(clip)
    return optimiser


def sgd(parameters: Iterable[nn.Parameter], *, lr: float = 0.1, momentum: float = 0.0) -> torch.optim.Optimizer:
    """Stochastic gradient descent.

    Args:
        lr: learning rate.
        momentum: share of the last step that is kept.
    """
    return torch.optim.SGD(parameters, lr=lr, momentum=momentum)
