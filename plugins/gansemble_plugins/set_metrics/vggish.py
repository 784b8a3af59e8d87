"""VGGish as an embedder (Hershey et al. 2017): the network that the Fréchet audio distance was published with."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from gansemble import File
from gansemble_plugins.set_metrics import patches, published
from gansemble_plugins.set_metrics.training import device

#: Channels of the convolutions; each row ends with 2 x 2 max-pooling.
CONVOLUTIONS = ((64,), (128,), (256, 256), (512, 512))
WIDE, DIM = 4096, 128
#: Patches in one pass.
BATCH = 32
#: The weights of the TensorFlow original, converted by Harri Taylor. The file's name holds the beginning of its SHA-256.
WEIGHTS = published.Published(
    "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
    "10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b",
    288_567_937,
    "vggish-10086976.pth",
)


class Network(nn.Module):
    """Six convolutions with max-pooling and three dense layers, with the names of torchvggish's weights.

    Shape:
        - input: log-mel patches [B, 96, 64]
        - output: [B, 128], before the last ReLU
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for row in CONVOLUTIONS:
            for width in row:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        flat = channels * (patches.FRAMES >> 4) * (patches.BANDS >> 4)
        sizes = (flat, WIDE, WIDE, DIM)
        dense = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
        self.embeddings = nn.Sequential(*dense[:-1])

    def forward(self, images: Tensor) -> Tensor:
        """The 128 numbers of each patch."""
        maps = self.features(images[:, None])  # [B, 512, 6, 4]
        # TensorFlow has channels last, and its dense layer reads time, band, channel.
        found: Tensor = self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))
        return found


class Vggish:
    """VGGish's 128 numbers for each 0.96 s (Hershey et al. 2017), as the Fréchet audio distance has them (Kilgour et al. 2019).

    Nothing is done to the level, neither PCA nor quantisation to its output. Windows stand side by side; what is left after the
    last whole one is not heard, and audio shorter than one is padded with zeros.

    Args:
        weights: ``published``, 289 MB that are downloaded once; a file of such weights (torchvggish's names); or ``random``,
            an untrained network for trying things out, whose scores mean nothing to anybody.
        relu: whether the last layer's ReLU is applied, as Google's first release had it; most tools leave it out.

    Shape:
        - input: float32 [T] at 16 kHz
        - output: float32 [L, 128]

    Raises:
        GansembleError: if the weights are neither on this machine nor can be downloaded, or are no VGGish.
    """

    sample_rate = patches.RATE
    window = patches.SAMPLES
    dim = DIM

    def __init__(self, *, weights: Literal["published", "random"] | File = "published", relu: bool = False) -> None:
        self.relu = relu
        self.random = weights == "random"
        path = None if self.random else published.fetched(WEIGHTS) if weights == "published" else Path(weights)
        self.network, self.digest = _network(path)

    @property
    def key(self) -> str:
        """``vggish``, with ``_relu`` and ``_random`` where they apply."""
        return "vggish" + "_relu" * self.relu + "_random" * self.random

    @property
    def definition(self) -> str:
        """What exactly is computed, by which weights."""
        layer = "after the last ReLU" if self.relu else "before the last ReLU"
        whose = "untrained weights" if self.random else f"weights of SHA-256 {self.digest[:16]}"
        return f"VGGish, 128 numbers {layer} for each 0.96 s, no PCA; {patches.DEFINITION}; {whose}"

    @torch.no_grad()
    def embed(self, audio: np.ndarray) -> np.ndarray:
        """A row for each whole window."""
        place = device()
        images = patches.patches(torch.from_numpy(np.ascontiguousarray(audio, np.float32)))
        network = self.network.to(place)
        made = torch.cat([network(some.to(place)) for some in images.split(BATCH)])
        return (made.relu() if self.relu else made).float().cpu().numpy()


@lru_cache(maxsize=1)
def _network(path: Path | None) -> tuple[Network, str]:
    """The network with weights of a file, or untrained ones, and the file's digest; kept, as several metrics ask for it."""
    if path is not None:
        with torch.device("meta"):  # first weights would be drawn for nothing
            network = Network()
        digest = published.load(network, path, ignored=("pproc.",))
        return network.requires_grad_(False).eval(), digest
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Network().requires_grad_(False).eval(), ""
