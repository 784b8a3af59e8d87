"""What TensorBoard is given to hear, see and read, as TensorBoard itself reads it back."""

from __future__ import annotations

import io
import shlex
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gansemble.audio.spec import AudioSpec
from gansemble.scoring.curves import read_curves
from gansemble.training import board_samples
from gansemble.training.board import Board
from gansemble.training.board_samples import BoardSamples, picture
from gansemble.training.validation import ValidationOutcome

SPEC = AudioSpec(sample_rate=8000, n_fft=256, hop=64, window=256, mels=20, fmax=None)


def tone(level: float, samples: int = 1280) -> np.ndarray:
    return (level * np.sin(2 * np.pi * 1000 * np.arange(samples) / SPEC.sample_rate)).astype(np.float32)


def events(folder: Path) -> EventAccumulator:
    """All that the log holds, as TensorBoard reads it."""
    kinds = dict.fromkeys(("scalars", "images", "audio", "tensors"), 0)
    return EventAccumulator(str(folder), size_guidance=kinds).Reload()


def text(found: EventAccumulator, name: str) -> str:
    (event,) = found.Tensors(f"{name}/text_summary")
    return str(event.tensor_proto.string_val[0].decode())


def image(found: EventAccumulator, name: str, place: int = 0) -> Any:
    return imread(io.BytesIO(found.Images(name)[place].encoded_image_string))


@pytest.fixture
def logged(tmp_path: Path):
    """``logged(outcome, …)``: the log after validations at steps 0, 7, 14 …"""

    def log(*outcomes: ValidationOutcome) -> EventAccumulator:
        board = Board(tmp_path / "log", None)
        samples = BoardSamples(board, SPEC)
        for place, outcome in enumerate(outcomes):
            samples.validated(7 * place, outcome)
        board.close()
        return events(tmp_path / "log")

    return log


def test_reference_input_and_generated_of_a_clip_stand_together_under_its_number(logged: Any):
    """What does not change is written once, with the real clip's id as text; what is beyond full scale is clipped."""
    outcome = ValidationOutcome({"snr": 1.5}, {"clip <b>*a*": (tone(0.5), tone(3.0))}, {"clip <b>*a*": tone(0.1)})
    found = logged(outcome, outcome)
    names = ["sample/0/generated", "sample/0/input", "sample/0/reference"]
    assert sorted(found.Tags()["audio"]) == sorted(found.Tags()["images"]) == names
    for kind in (found.Audio, found.Images):
        assert [[event.step for event in kind(name)] for name in names] == [[0, 7], [0], [0]]
    assert text(found, "sample/0/clip") == "    clip <b>*a*"
    assert [(event.step, event.value) for event in found.Scalars("validation/snr")] == [(0, 1.5), (7, 1.5)]
    import soundfile

    for name, peak in (("generated", 1.0), ("reference", 0.5), ("input", 0.1)):
        heard, rate = soundfile.read(io.BytesIO(found.Audio(f"sample/0/{name}")[0].encoded_audio_string))
        assert rate == 8000 and len(heard) == 1280 and np.abs(heard).max() == pytest.approx(peak, abs=1e-3)


def test_a_vocoder_has_no_input_beside_its_mel(logged: Any):
    found = logged(ValidationOutcome({}, {"a": (tone(0.5), tone(0.5)), "b": (tone(0.5), tone(0.5))}))
    wanted = [f"sample/{number}/{name}" for number in (0, 1) for name in ("generated", "reference")]
    assert sorted(found.Tags()["audio"]) == wanted


def test_a_sample_of_a_latent_vector_never_stands_under_a_real_clip(logged: Any):
    outcome = ValidationOutcome({}, {"cat": (tone(0.5), tone(0.2)), "dog": (tone(0.25), tone(0.2))}, imitates=False)
    found = logged(outcome, outcome)
    assert sorted(found.Tags()["audio"]) == ["real/0", "real/1", "sample/0/generated", "sample/1/generated"]
    assert len(found.Audio("real/0")) == 1 and len(found.Audio("sample/0/generated")) == 2
    assert text(found, "real/1/clip") == "    dog"
    seen = [image(found, f"sample/{number}/generated") for number in (0, 1)]
    assert np.array_equal(*seen), "all have the scale of the loudest real clip"
    assert image(found, "real/1").sum() < image(found, "real/0").sum()


def test_all_pictures_of_a_clip_have_the_scale_of_its_reference(logged: Any):
    """A copy at a tenth of the level is darker, and not as bright as it; one is never scaled to its own peak."""
    found = logged(ValidationOutcome({}, {"a": (tone(0.5), tone(0.05))}, {"a": tone(0.5)}))
    reference, quiet, same = (image(found, f"sample/0/{name}") for name in ("reference", "generated", "input"))
    assert np.array_equal(reference, same) and quiet[..., :3].max() < reference[..., :3].max()


@pytest.mark.parametrize(
    ("bands", "frames", "size"),
    [
        (80, 129, (400, 645)),
        (20, 10, (400, 200)),
        (128, 100, (384, 300)),
        (500, 30, (500, 30)),
        (80, 5000, (400, 1600)),
    ],
)
def test_pictures_are_large_and_bounded(bands: int, frames: int, size: tuple[int, int]):
    made = picture(np.zeros((bands, frames), np.float32), 0.0)
    assert made.shape == (3, *size) and made.min() >= 0 and made.max() <= 1


def test_a_picture_has_the_lowest_band_below_and_colours_for_80_db_below_the_top(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(board_samples, "HEIGHT", 2)
    decibel = np.log(10) / 20
    mels = np.float32([[2.0, 2.0 - 40 * decibel], [2.0 - 80 * decibel, 9.0]])
    colours = matplotlib.colormaps["magma"](np.float32([[0, 1], [1, 0.5]]))[..., :3]
    np.testing.assert_allclose(picture(mels, 2.0).transpose(1, 2, 0), colours, atol=0.01)


def test_a_clip_shorter_than_a_frame_and_a_silent_one_are_shown(logged: Any):
    found = logged(ValidationOutcome({}, {"short": (tone(0.5, 9), tone(0.5, 9)), "still": (tone(0.0), tone(0.0))}))
    assert len(found.Tags()["images"]) == 4


def test_the_recipe_is_kept_as_text_and_the_command_shows_the_folder(tmp_path: Path):
    board = Board(tmp_path / "my log", None)
    samples = BoardSamples(board, SPEC)
    samples.recipe({"name": "tiny *a*", "plan": {"steps": 5}}, 3)
    assert samples.command is not None and shlex.split(samples.command) == [
        "tensorboard",
        "--logdir",
        str(board.folder),
    ]
    board.close()
    assert text(events(tmp_path / "my log"), "recipe") == "    name: tiny *a*\n    plan: {steps: 5}"
    assert samples.command is None


@pytest.mark.slow
def test_a_run_has_the_names_of_its_curves_and_prints_the_command_once(workshop: Any, tmp_path: Path, capsys: Any):
    exp = tmp_path / "exp"
    workshop.train(exp, "plan.steps=1", "plan.log_every=1", "validation.audio=1")
    found = events(exp / "logs" / "tensorboard")
    curves: set[str] = set()
    for row in read_curves(exp / "logs" / "train.jsonl"):
        curves |= row.keys()
    for row in read_curves(exp / "logs" / "validation.jsonl"):
        curves |= {f"validation/{name}" for name in row if name != "step"}
    assert set(found.Tags()["scalars"]) == curves - {"step"} and "validation/mel_distance" in curves
    assert "sample/0/generated" in found.Tags()["audio"] and "name: tiny" in text(found, "recipe")
    assert capsys.readouterr().err.count(f"tensorboard --logdir {exp / 'logs' / 'tensorboard'}") == 1
