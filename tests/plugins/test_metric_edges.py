"""Where a metric's range ends: the bin at a bound belongs to one side of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gansemble_plugins.metrics import bands
from gansemble_plugins.metrics.bands import LsdHigh, LsdLow

RATE, BINS = 44100, 1025


@pytest.mark.parametrize("cutoff", [1000.0, 4000.0, 21000.0])
@pytest.mark.parametrize("metric, key, side", [(LsdLow, "lsd_lf", -1), (LsdHigh, "lsd_hf", 0)])
def test_an_error_in_one_bin_counts_below_the_cut_off_or_from_it_on(monkeypatch, metric, key, side, cutoff):
    """A factor of 100 in power is 2 of log10, in one of the bins that are averaged: 2 / sqrt(their number)."""
    first = int(BINS * cutoff / (RATE / 2))
    counted = first if metric is LsdLow else BINS - first
    reference = np.resize(np.array([0.25, -0.25], np.float32), RATE)
    for wrong in (first - 1, first):
        spectrum = torch.ones(BINS, 3)
        spectrum[wrong] = 100.0
        spectra = {0.25: torch.ones(BINS, 3), 0.5: spectrum}  # of the reference and the estimate, by their level
        monkeypatch.setattr(bands, "power", lambda signal, *_, known=spectra: known[float(signal[0])])
        score = metric(cutoff=cutoff).score(2 * reference, reference, RATE)[key].value
        assert score == pytest.approx(2 / counted**0.5 if wrong == first + side else 0.0, abs=1e-6)
