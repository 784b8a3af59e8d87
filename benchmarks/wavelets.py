"""The continuous wavelet transform against ptwt and ssqueezepy, where they are installed, and what sampling each wavelet as it
needs saves."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch

from benchmarks.timing import alternate, line

RATE, SCALES, W0 = 16000, 128, 6.0


def _module(name: str) -> Any:
    """A package that is there only for comparisons, or None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _ptwt(audio: torch.Tensor, periods: list[float]) -> Callable[[], object] | None:
    """Their complex Morlet wavelet of our bandwidth: exp(-t² / 2) has B = 2."""
    theirs = _module("ptwt")
    if theirs is None:
        return None
    wavelet = f"cmor2.0-{W0 / (2 * math.pi):.10f}"
    return lambda: theirs.cwt(audio[0], periods, wavelet)


def _ssqueezepy(audio: torch.Tensor, periods: list[float]) -> Callable[[], object] | None:
    """On one thread if torch is, and on silence around the clip, as ours."""
    if torch.get_num_threads() == 1:
        os.environ["SSQ_PARALLEL"] = "0"
    theirs = _module("ssqueezepy")
    if theirs is None:
        return None
    import numpy as np

    clip, scales = audio[0, 0].numpy(), np.array(periods[::-1], dtype=np.float32)  # theirs must ascend
    wavelet = theirs.Wavelet(("morlet", {"mu": W0}), dtype="float32")
    return lambda: theirs.cwt(clip, wavelet, scales=scales, fs=RATE, padtype="zero")


def run(seconds: tuple[int, ...] = (1, 5)) -> list[str]:
    """Eight rows."""
    from gansemble_plugins.time_frequency.morlet import MorletBank, frequencies

    bank = MorletBank(frequencies(SCALES, 40, 7600), RATE, W0)
    periods = [W0 / (2 * math.pi) * RATE / frequency for frequency in bank.frequencies]
    rows = []
    for length in seconds:
        audio = 0.1 * torch.randn(1, 1, length * RATE, generator=torch.Generator().manual_seed(0))
        plan = bank.plan(audio.shape[-1], audio.device, audio.dtype, RATE // 40, 0, "decimated")
        ways: dict[str, Callable[[], object]] = {
            "ours": lambda audio=audio: bank.transform(audio),
            "decimated": lambda audio=audio, plan=plan: plan.analyse(audio),
        }
        others = {"ptwt": _ptwt(audio, periods), "ssqueezepy": _ssqueezepy(audio, periods)}
        taken = alternate(ways | {name: way for name, way in others.items() if way is not None}, rounds=5, warm_up=2)
        shown = f"{length} s"
        rows.append(line(f"wavelet transform, {SCALES} scales, {shown} at 16 kHz, float32", taken["ours"] * 1e3, "ms"))
        for name in others:
            if name in taken:
                rows.append(line(f"ours, of {name} {version(name)}'s time, {shown}", taken["ours"] / taken[name], "x"))
            else:
                rows.append(f"{f'ours, of {name} time, {shown}':58} not installed")
        rows.append(line(f"sampled as each wavelet needs, of ours, {shown}", taken["decimated"] / taken["ours"], "x"))
    return rows
