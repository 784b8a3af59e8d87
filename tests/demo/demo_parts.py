"""Tiny experiments, tones as files, and a server that is asked."""

from __future__ import annotations

import http.client
import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile
import torch

from gansemble.demo.serving import Server
from gansemble.parts.build import generator
from gansemble.recipe import check
from gansemble.training import checkpoint

RATE = 16_000
AUDIO = "audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}"
COMMON = f"""
{AUDIO}
corpus: {{use: folder}}
plan: {{steps: 9, batch_size: 2, segment: 4096}}
optimisers: {{generator: {{use: adamw}}}}
"""
RECIPES = {
    "vocoding": f"""
name: echo
{COMMON}
generator: {{use: vocos, dim: 4, hidden: 4, blocks: 1}}
losses: {{mel: {{use: mel_l1}}}}
metrics: {{mel_distance: {{use: mel_distance}}}}
synthesis: {{split: validation}}
""",
    "enhancement": f"""
name: cleaner
{COMMON}
data: {{normalise: null}}
degradation: {{use: low_pass, families: [cheby1], orders: [8, 8], ripples: [0.05], cutoff: [2000, 2000]}}
generator: {{use: inception_unet, blocks: 3, widths: [4, 4, 2, 2], kernels: [3, 5, 7, 9], dropout: 0.0}}
losses: {{time: {{use: waveform_l2}}}}
metrics: {{lsd: {{use: lsd}}}}
synthesis: {{split: validation}}
""",
    "generation": f"""
name: dreamer
{COMMON.replace("{use: folder}", "{use: fsdd}").replace("16000", "8000")}
data: {{short: pad}}
generator: {{use: wavegan, dim: 2, classes: 10}}
discriminators: {{critic: {{use: wavegan, dim: 2, classes: 10}}}}
objective: {{use: wgan}}
metrics: {{fid: {{use: fid}}}}
""",
}
RECIPES["generation"] = RECIPES["generation"].replace(
    "{generator: {use: adamw}}", "{generator: {use: adamw}, discriminators: {use: adamw}}"
)


def write(folder: Path, task: str, **facts: object) -> Path:
    """An experiment with one checkpoint, of step 9, whose weights were not trained."""
    store = checkpoint.Store(folder / "checkpoints", keep=2)
    made = store.begin(9)
    (made / "recipe.yaml").write_text(RECIPES[task])
    recipe = check.load(made / "recipe.yaml")
    torch.manual_seed(0)
    checkpoint.save_network(made / "generator.safetensors", generator(recipe).state_dict())
    known = {"audio": recipe.audio.as_dict(), "task": task, "name": recipe.name, "parameters": {"generator": 1234}}
    if task == "generation":
        known["classes"] = ["cat", "<i>dog</i>", *(f"bird {number}" for number in range(8))]
    store.commit(made, 9, known | facts, set())
    return folder


class Packed:
    """Two held-out clips: a tone of 0.5 s, and one of 3 s."""

    folder = Path("dump")

    def __init__(self) -> None:
        self.clips = [tone(0.5), tone(3.0)]
        self.entries = [
            SimpleNamespace(id=f"clip <{place}>", frames=len(clip), seconds=len(clip) / RATE, sample_rate=RATE)
            for place, clip in enumerate(self.clips)
        ]

    def read(self, index, start=0, length=None, degraded=False):
        return self.clips[index][start:][:length]


def tone(seconds: float, hertz: float = 440.0, rate: int = RATE, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def sound(audio: np.ndarray, rate: int = RATE, kind: str = "WAV", subtype: str = "FLOAT") -> bytes:
    """Audio [T] or [C, T] as a file."""
    stream = io.BytesIO()
    soundfile.write(stream, np.atleast_2d(audio).T, rate, format=kind, subtype=subtype)
    return stream.getvalue()


class Served:
    """A server that runs, and what it answers."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def open(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.server.server_address, timeout=20)

    def ask(self, method, path, body=None, word=None, **headers):
        """(status, headers, text) of a reply."""
        link = self.open()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        link.request(method, f"/{word or self.server.word}/{path}", body, sent)
        reply = link.getresponse()
        text = reply.read().decode()
        link.close()
        return reply.status, dict(reply.getheaders()), text

    def lines(self, path, body, **headers):
        """(status, what the lines of a reply tell)."""
        status, _, text = self.ask("POST", path, body, **headers)
        return status, [json.loads(line) for line in text.splitlines()]
