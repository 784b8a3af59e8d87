"""Spectral norm that starts as the released discriminator's does.

Torch has two. ``torch.nn.utils.parametrizations.spectral_norm`` refines its estimate of a kernel's largest singular value
15 times when it is made, so that the first forward pass is normed nearly exactly ("warm"). The older hook, with which
HiFi-GAN was trained, starts from random vectors ("cold"): its first estimates are far too small, and the first outputs too
large. The two also update their vectors in another order. This is the older one as a parametrisation, so weights are kept
under the same names as the newer one's.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

EPSILON = 1e-12


class ColdSpectralNorm(nn.Module):
    """Divides a kernel by an estimate of its largest singular value, refined once for each forward pass in training.

    With W the kernel as a matrix [out, rest]: v = W^T u / |W^T u|, then u = W v / |W v|, and the estimate is u^T W v. Both
    vectors start random and are refined first in the first forward pass. No gradient reaches them.

    Args:
        weight: the kernel [out, ...], for its sizes alone.

    Shape: [out, ...] -> [out, ...].
    """

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rows, columns = weight.flatten(1).shape
        self.register_buffer("_u", F.normalize(weight.new_empty(rows).normal_(), dim=0, eps=EPSILON))
        self.register_buffer("_v", F.normalize(weight.new_empty(columns).normal_(), dim=0, eps=EPSILON))

    def forward(self, weight: Tensor) -> Tensor:
        matrix = weight.flatten(1)
        with torch.autocast(weight.device.type, enabled=False):  # an estimate in half precision would not settle
            if self.training:
                with torch.no_grad():
                    self._v.copy_(F.normalize(matrix.T @ self._u, dim=0, eps=EPSILON))
                    self._u.copy_(F.normalize(matrix @ self._v, dim=0, eps=EPSILON))
            # Copies, as a second forward pass would change what the first one's backward pass needs.
            u, v = self._u.clone(), self._v.clone()
            return weight / torch.dot(u, matrix @ v)

    def right_inverse(self, value: Tensor) -> Tensor:
        """Takes a kernel as it is, as torch's own spectral norm does."""
        return value


def cold_spectral_norm(layer: nn.Module) -> nn.Module:
    """A layer whose ``weight`` is normed so; the drawing of its vectors is that of the hook, in the same order."""
    # unsafe skips a trial call, which would refine the vectors before the first forward pass.
    register_parametrization(layer, "weight", ColdSpectralNorm(layer.weight), unsafe=True)  # type: ignore[arg-type]
    return layer
