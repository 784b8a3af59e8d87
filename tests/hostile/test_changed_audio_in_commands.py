"""Audio files that were cut, overwritten or joined, given to a vocoder and to a generator that restores: made whole or refused."""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parent))
import audio_mutations

from gansemble.audio.reader import AudioFault, AudioReader
from gansemble.data import prepare
from gansemble.errors import DataError
from gansemble.inference import enhancement, loading, vocoding
from gansemble.recipe import check
from gansemble.training.components import Components
from gansemble.training.trainer import Trainer

SEED = int(os.environ.get("GANSEMBLE_SEED", "20261129"))
COMMON = f"""
audio: {{sample_rate: {audio_mutations.RATE}, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}}
corpus: {{use: folder, mini_rate: {audio_mutations.RATE}}}
plan: {{steps: 1, batch_size: 2, segment: 2048, log_every: 1, save_every: 1}}
validation: {{every: 1, clips: 1, metrics: []}}
optimisers: {{generator: {{use: adamw}}}}
"""
TASKS = {
    "vocoder": "generator: {use: vocos, dim: 8, hidden: 8, blocks: 1}\nlosses: {mel: {use: mel_l1}}\n",
    "restorer": "degradation: {use: low_pass, cutoff: [3000, 5000]}\n"
    "generator: {use: inception_unet, blocks: 1, widths: [2, 2, 1, 1], kernels: [3, 5, 7, 9], dropout: 0.0}\n"
    "losses: {time: {use: waveform_l2}}\n",
}


@pytest.fixture(scope="module", params=TASKS)
def trained(request, tmp_path_factory) -> tuple[str, loading.TrainedGenerator]:
    """A generator of one step, of each task that reads audio files."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "r.yaml").write_text(COMMON + TASKS[request.param])
    recipe = check.load(folder / "r.yaml")
    prepare.corpus_of(recipe).mini(folder / "data")
    prepare.prepare(recipe, folder / "data", folder / "dump", 1, lambda text: None)
    Trainer(Components.build(recipe, folder / "exp", folder / "dump")).run()
    return request.param, loading.load(folder / "exp")


def make(trained: tuple[str, loading.TrainedGenerator], source: Path, target: Path) -> None:
    task, loaded = trained
    if task == "vocoder":
        vocoding.synthesise_file(loaded, source, target, "pcm16", 0.5, resample=True)
    else:
        enhancement.enhance(loaded, source, target, enhancement.EnhanceOptions(20_000, True, "pcm16"))


def try_files(trained: tuple[str, loading.TrainedGenerator], folder: Path, count: int) -> dict[str, int]:
    rng, came = random.Random(SEED), {"made": 0, "refused": 0}
    whole = {kind: audio_mutations.original(kind) for kind in audio_mutations.KINDS}
    target, rate = folder / "made.wav", trained[1].spec.sample_rate
    for number in range(count):
        kind = rng.choice(list(whole))
        change = audio_mutations.mutate(kind, whole[kind], rng)
        source = folder / f"changed.{kind}"
        source.write_bytes(change.content)
        name, begun = f"seed {SEED}, file {number}: {kind}, {change.name}", time.monotonic()
        target.unlink(missing_ok=True)
        try:
            make(trained, source, target)
        except DataError as error:
            came["refused"] += 1
            assert str(source) in str(error) and not target.exists(), name
            continue
        finally:
            assert time.monotonic() - begun < 5, name
        came["made"] += 1
        try:
            with AudioReader(source) as reader:
                seconds = sum(map(len, reader.blocks())) / reader.sample_rate
        except AudioFault as fault:
            pytest.fail(f"{name}: made, though {fault}")
        assert soundfile.info(str(target)).frames == pytest.approx(seconds * rate, abs=64), name
    return came


def test_changed_files_are_made_whole_or_refused(trained, tmp_path):
    came = try_files(trained, tmp_path, 30)
    assert came["made"] and came["refused"]


@pytest.mark.slow
def test_many_changed_files(trained, tmp_path):
    print(f"{trained[0]}, seed {SEED}: {try_files(trained, tmp_path, int(os.environ.get('GANSEMBLE_FILES', '200')))}")
