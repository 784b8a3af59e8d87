"""Each block of Python on the page about Python does what it says, one after the other as a reader would try them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from gansemble.parts.build import generator
from gansemble.recipe import check
from gansemble.training import checkpoint

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
WHOLE = re.compile(r"<!-- for readers of the repository -->\n.*?<!-- end -->", re.DOTALL)
BLOCKS = re.findall(
    r"^```python\n(.*?)^```$", WHOLE.sub("", PAGE.read_text(encoding="utf-8")), re.MULTILINE | re.DOTALL
)
RATE = 16000
AUDIO = f"audio: {{sample_rate: {RATE}, n_fft: 256, hop: 64, window: 256, mels: 80, fmax: null}}"
VOCODER = f"""
name: mine
{AUDIO}
corpus: {{use: folder, validation: 0.0, minimum_validation: 2}}
generator: {{use: vocos, dim: 4, hidden: 4, blocks: 1}}
losses: {{mel: {{use: mel_l1}}}}
metrics: {{mel_distance: {{use: mel_distance}}}}
plan: {{steps: 4, batch_size: 2, segment: 1024, log_every: 1, save_every: 4}}
validation: {{every: 4, clips: 1, audio: 0, metrics: [mel_distance], best: mel_distance}}
optimisers: {{generator: {{use: adamw}}}}
"""
RESTORER = f"""
name: restorer
{AUDIO}
corpus: {{use: folder}}
data: {{normalise: null}}
degradation: {{use: low_pass, cutoff: [3000, 5000]}}
generator: {{use: inception_unet, blocks: 3, widths: [4, 4, 2, 2], kernels: [3, 5, 7, 9], dropout: 0.0}}
losses: {{time: {{use: waveform_l2}}}}
metrics: {{lsd: {{use: lsd}}}}
plan: {{steps: 3, batch_size: 2, segment: 4096}}
optimisers: {{generator: {{use: adamw}}}}
"""
DRUMS = f"""
name: drums
{AUDIO}
corpus: {{use: folder}}
generator: {{use: wavegan, dim: 2, strides: [4, 4, 4, 4]}}
discriminators: {{critic: {{use: wavegan, dim: 2, strides: [4, 4, 4, 4]}}}}
objective: {{use: wgan}}
metrics: {{ndb: {{use: ndb}}}}
plan: {{steps: 3, batch_size: 2, segment: 4096}}
optimisers: {{generator: {{use: adamw}}, discriminators: {{use: adamw}}}}
"""


def experiment(folder: Path, recipe: str) -> None:
    """An experiment whose generator has learnt nothing."""
    begun = (store := checkpoint.Store(folder / "checkpoints", keep=1)).begin(3)
    (begun / "recipe.yaml").write_text(recipe)
    torch.manual_seed(0)
    state = generator(check.load(begun / "recipe.yaml")).state_dict()
    checkpoint.save_network(begun / "generator.safetensors", state)
    store.commit(begun, 3, {}, set())


def noise(path: Path, seed: int, rate: int = RATE) -> None:
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).normal(0, 0.1, rate // 2), rate)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with all that the page's blocks name."""
    for name, recipe in (("v1", VOCODER), ("restorer", RESTORER), ("drums", DRUMS)):
        experiment(tmp_path / "exp" / name, recipe)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "mine.yaml").write_text(VOCODER)
    noise(tmp_path / "speech.wav", 0)
    noise(tmp_path / "record.wav", 1, 44100)
    for number, folder in enumerate(("recordings", "reference", "ours", "theirs")):
        for clip in range(5):
            noise(tmp_path / folder / f"{clip}.wav", 10 * number + clip)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.end_to_end
def test_each_block_runs_and_leaves_what_it_promises(here):
    names: dict[str, object] = {"__name__": "page", "waveform": torch.randn(1, 1, RATE) * 0.1}
    for block in BLOCKS:
        if "IPython" in block and not _has_ipython():
            continue
        exec(compile(block, str(PAGE), "exec"), names)
    written = sorted(path.name for path in (here / "out").iterdir())
    assert written == ["first.wav", "record.wav", "speech.wav"]
    assert names["audio"].shape[1] == 1 and names["restored"].shape == (1, 1, 8000)
    assert names["clips"].shape == (16, 4096)
    assert len(names["scores"].records()) == 10 and "snr" in str(names["scores"])
    assert set(names["experiment"].stages().values()) >= {"done"}
    assert len(names["steps"]) == len(names["losses"]) == 4
    assert names["worst"] in {str(clip) for clip in range(5)} and names["mean"] > 0
    assert names["session"].recipe.plan.steps == 12
    assert {path.name for path in (here / "exp" / "mine" / "checkpoints").iterdir()} >= {"step-00000012"}


def _has_ipython() -> bool:
    try:
        import IPython  # noqa: F401
    except ImportError:
        return False
    return True


def test_the_first_section_uses_it_in_three_lines_each():
    """The import, which all of them need, is counted in none."""
    text = PAGE.read_text(encoding="utf-8")
    first = text[text.index("## In three lines") : text.index("## A trained generator")]
    blocks = re.findall(r"^```python\n(.*?)^```$", first, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 7
    for block in blocks:
        lines = [line for line in block.splitlines() if line and not line.startswith(("import", "from"))]
        assert len(lines) <= 3, block
