"""An augmentation: further training clips made from each training clip when the corpus is packed."""

from collections.abc import Iterator

import numpy as np


class AcmeAugmentation:
    """The clip with an echo, in one variant for each delay; a clip that is no longer than a delay gets none for it.

    Args:
        delays: of the echoes [s], one variant each.
        gain: amplitude of the echo relative to the clip.

    Shape:
        - input: float32 [T], T samples of one channel
        - output: float32 [T] for each variant

    Raises:
        ValueError: if there is no delay, or one is not above 0 s.
    """

    def __init__(self, *, delays: tuple[float, ...] = (0.05, 0.1), gain: float = 0.4) -> None:
        if not delays or min(delays) <= 0:
            raise ValueError(f"delays must be above 0 s, got {delays}")
        self.delays, self.gain = delays, gain

    def variants(self, audio: np.ndarray, sample_rate: int) -> Iterator[tuple[str, np.ndarray]]:
        """Yields (name, audio) of each variant; the name becomes part of the variant's clip id."""
        for delay in self.delays:
            behind = round(delay * sample_rate)
            if behind < len(audio):
                echo = np.pad(audio, (behind, 0))[: len(audio)]  # variants are as long as the clip
                yield f"echo_{delay:g}", (audio + self.gain * echo).astype(np.float32)
