"""Synthesis on CPUs: real-time factors and latencies of HiFi-GAN V1 to V3 and Vocos by torch and ONNX Runtime, in turn in one run.

Weights are random: they do not change how long a network takes. The released HiFi-GAN joins in where GANSEMBLE_HIFIGAN names a
checkout of it, and rows of ONNX Runtime where it, onnx and onnxscript are installed. ``memory`` and ``quality`` are asked for by name:
``python -m benchmarks.synthesis_table memory`` and ``… quality EXP FOLDER`` with a trained vocoder and recordings.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.released_step import FOLDER, models
from benchmarks.timing import Taken, line, times
from gansemble.inference.loading import fold, load
from gansemble.inference.streaming import vocoder_stream
from gansemble.interfaces import Condition
from gansemble.parts.build import Waveform, generator
from gansemble.recipe import check

EGS = Path(__file__).resolve().parent.parent / "egs/ljspeech"
#: The published sizes, head and input, in a recipe of a smaller one that corrects the mel's own amplitudes.
PUBLISHED_VOCOS = (
    "generator.dim=512", "generator.hidden=1536", "generator.blocks=8", "generator.prior=null", "generator.amplitude=predicted",
    "generator.phase_from=frame_start", "generator.griffin_lim=0",
)  # fmt: skip
#: By name: the recipe, what is changed in it, and the released configuration.
NETWORKS = {
    "V1": ("hifigan/conf/v1", (), "config_v1"),
    "V2": ("hifigan/conf/v2", (), "config_v2"),
    "V3": ("hifigan/conf/v3", (), "config_v3"),
    "Vocos": ("specdiff/conf/small", PUBLISHED_VOCOS, None),
}
RATE, HOP = 22050, 256

Way = Callable[[], object]


class OfMel(nn.Module):
    """A generator as a network of one tensor, as exporters ask for."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, mel: Tensor) -> Tensor:
        """[B, M, L] -> [B, 1, T]."""
        return self.network(Condition(signals={"mel": mel}))


def torch_ways(name: str, mel: Tensor) -> dict[str, Way]:
    """The released network, ours with its weight norms, folded, and folded in bf16."""
    recipe_path, changes, config = NETWORKS[name]
    recipe = check.load(EGS / f"{recipe_path}.yaml", changes)
    kept, folded = OfMel(generator(recipe)).eval(), OfMel(fold(generator(recipe))).eval()

    def half() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return folded(mel)

    ways: dict[str, Way] = {"kept": lambda: kept(mel), "folded": lambda: folded(mel), "bf16": half}
    folder = os.environ.get(FOLDER)
    if folder and config is not None:
        made = SimpleNamespace(**json.loads((Path(folder) / f"{config}.json").read_text()))
        with contextlib.redirect_stdout(io.StringIO()):
            released = models(Path(folder)).Generator(made).eval()
            released.remove_weight_norm()  # as its inference.py does
        ways = {"released": lambda: released(mel), **ways}
    return ways


def export(network: nn.Module, mel: Tensor, path: Path) -> None:
    """Writes a network of one mel spectrogram as ONNX, of any number of frames."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        network(mel)  # makes what is made once, such as mel filters, before the trace
        frames = {0: torch.export.Dim("items"), 2: torch.export.Dim.AUTO}
        torch.onnx.export(
            network,
            (mel,),
            path,
            dynamo=True,
            dynamic_shapes=(frames,),
            verbose=False,
            opset_version=18,
            external_data=False,
        )


def quantise(source: Path, target: Path, mels: list[np.ndarray]) -> None:
    """int8 weights and activations by ONNX Runtime's static quantisation, calibrated with mel spectrograms [B, M, L].

    Only of convolutions and matrix products with learnt weights: with an inverse Fourier transform or additions quantised too,
    little is left of what Vocos says.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = source.with_suffix(".prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    graph = onnx.load(prepared).graph
    # Kernels keep their names; matrices are turned by the exporter, under names of its own.
    learnt = {each.name for each in graph.initializer if each.name.endswith(".weight")}
    learnt |= {each.name for each in graph.initializer if each.name.startswith("val_") and len(each.dims) == 2}
    chosen = [
        each.name for each in graph.node if each.op_type in ("Conv", "MatMul", "Gemm") and learnt & set(each.input)
    ]
    feeds = iter([{"mel": mel} for mel in mels])
    reader: Any = SimpleNamespace(get_next=lambda: next(feeds, None))
    logging.disable(logging.WARNING)  # of each weight of one axis
    quantize_static(
        str(prepared), str(target), reader, quant_format=QuantFormat.QDQ, per_channel=True, nodes_to_quantize=chosen,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    logging.disable(logging.NOTSET)


def session(path: Path, threads: int) -> Any:
    """ONNX Runtime's session of a file on CPUs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def onnx_files(name: str, folder: Path) -> dict[str, Path]:
    """A network's ONNX files in float32 and int8; none where a library is missing."""
    try:
        import onnxruntime
        import onnxscript
    except (ImportError, OSError):
        return {}
    del onnxruntime, onnxscript
    recipe_path, changes, _ = NETWORKS[name]
    network = OfMel(fold(generator(check.load(EGS / f"{recipe_path}.yaml", changes)))).eval().requires_grad_(False)
    whole, small = folder / f"{name}.onnx", folder / f"{name}.int8.onnx"
    export(network, torch.randn(2, 80, 40) - 5, whole)
    quantise(whole, small, [np.float32(np.random.default_rng(0).normal(-5, 1, (1, 80, 40)))])
    return {"onnx": whole, "onnx int8": small}


@torch.inference_mode()
def measured(
    name: str, seconds: float, items: int, threads: int, files: dict[str, Path], rounds: int
) -> dict[str, Taken]:
    """What each way takes for ``items`` mel spectrograms of some seconds with some threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        mel = torch.randn(items, 80, round(seconds * RATE / HOP), generator=torch.Generator().manual_seed(0)) - 5
        ways = torch_ways(name, mel)
        for key, path in files.items():
            run = session(path, threads)
            ways[key] = lambda run=run: run.run(None, {"mel": mel.numpy()})
        return times(ways, rounds)
    finally:
        torch.set_num_threads(before)


def run(rounds: int = 5, names: tuple[str, ...] = tuple(NETWORKS)) -> list[str]:
    """Rows for each network: real-time factors of 3 s and of 4 items of 1 s, and the latency of 1 s."""
    return list(rows(rounds, names))


def rows(rounds: int, names: tuple[str, ...]) -> Iterator[str]:
    """The rows, each as soon as it is measured."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            files = onnx_files(name, Path(folder))
            for threads in (1, 2):
                for what, seconds, items in (("3 s", 3.0, 1), ("4 x 1 s", 1.0, 4), ("1 s", 1.0, 1)):
                    taken = measured(name, seconds, items, threads, files, rounds)
                    made = seconds * items
                    where = f"{name}, {what}, {threads} threads, load {os.getloadavg()[0]:.1f}"
                    for way, each in taken.items():
                        spread = f"{min(each.wall) / made:.4f} to {max(each.wall) / made:.4f}"
                        busy = f"processor time {statistics.median(each.processor) / made:.4f}"
                        note = f"{each.median * 1e3:.0f} ms; {spread}; {busy}, {each.ratio(taken['folded'], True)[0]:.2f} of folded"
                        yield line(f"real-time factor, {where}, {way}", each.median / made, "", note)


def _peak(name: str, minutes: float, chunk: float | None, answer: Any) -> None:
    """In a process of its own: how far synthesis raises the peak memory [MiB]."""
    torch.set_num_threads(1)
    recipe_path, changes, _ = NETWORKS[name]
    network = fold(generator(check.load(EGS / f"{recipe_path}.yaml", changes))).eval()
    frames = round(minutes * 60 * RATE / HOP)
    mel = torch.randn(80, frames) - 5
    core = frames if chunk is None else round(chunk * RATE / HOP)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with torch.inference_mode():
        for _ in vocoder_stream(network, Waveform(), core, {"mel": 80}).pieces(iter([mel])):
            pass
    answer.put((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def memory() -> Iterator[str]:
    """Rows: what synthesis takes of memory besides the network, whole and in chunks, for two lengths."""
    context = multiprocessing.get_context("spawn")
    for name in ("V1", "Vocos"):
        for minutes in (0.5, 1.0):
            for chunk in (None, 10.0, 1.0):
                answer = context.Queue()
                process = context.Process(target=_peak, args=(name, minutes, chunk, answer))
                process.start()
                value = answer.get()
                process.join()
                how = "whole" if chunk is None else f"in chunks of {chunk:.0f} s"
                yield line(f"memory, {name}, {minutes * 60:.0f} s {how}", value, "MiB")


@torch.inference_mode()
def quality(exp: Path, folder: Path, clips: int = 16) -> Iterator[str]:
    """Rows: what bf16 and int8 cost a trained vocoder: its output against its output in float32, and scores against recordings."""
    import soundfile
    from pesq import pesq
    from scipy.signal import resample_poly

    from gansemble.audio.features import log_mel

    loaded = load(exp, device="cpu")
    network, spec = OfMel(loaded.generator).eval(), loaded.spec
    names = sorted(folder.glob("*.wav"))[: clips + 4]
    sounds = [soundfile.read(path, dtype="float32")[0] for path in names]
    mels = [log_mel(torch.from_numpy(sound)[None, None], spec) for sound in sounds]
    with tempfile.TemporaryDirectory() as place:
        whole, small = Path(place) / "whole.onnx", Path(place) / "small.onnx"
        export(network, torch.cat([mels[0], mels[0]])[..., :40], whole)
        quantise(whole, small, [mel.numpy() for mel in mels[clips:]])  # clips that are not scored
        run = session(small, 1)

        def half(mel: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return network(mel).float()

        ways: dict[str, Callable[[Tensor], Tensor]] = {
            "float32": network, "bf16": half, "int8": lambda mel: torch.from_numpy(run.run(None, {"mel": mel.numpy()})[0]),
        }  # fmt: skip
        scores: dict[str, list[tuple[float, float, float]]] = {way: [] for way in ways}
        for sound, mel in zip(sounds[:clips], mels, strict=False):
            full = network(mel)
            for way, make in ways.items():
                made = make(mel)
                noise = (made - full).square().sum().clamp_min(1e-30)
                apart = float((log_mel(made, spec) - mel).abs().mean())
                heard = [resample_poly(x, 320, 441) for x in (sound[: made.shape[-1]], made[0, 0].numpy())]
                scores[way].append(
                    (float(10 * torch.log10(full.square().sum() / noise)), apart, pesq(16000, *heard, "wb"))
                )
        for way, found in scores.items():
            noise, apart, heard = (float(np.mean(x)) for x in zip(*found, strict=True))
            note = f"mel distance {apart:.4f}; signal to difference from float32 {noise:.1f} dB; {clips} clips"
            yield line(f"PESQ of {exp.name}, {way}", heard, "", note)


if __name__ == "__main__":
    asked = sys.argv[1:] or ["table"]
    found = memory() if asked[0] == "memory" else quality(*map(Path, asked[1:])) if asked[0] == "quality" else rows(5, tuple(asked[1:]) or tuple(NETWORKS))  # fmt: skip
    for each in found:
        print(each, flush=True)
