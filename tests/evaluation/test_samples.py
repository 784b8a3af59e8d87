"""Clips on request: which latent vector and label each gets, what is written beside it, and what the page says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from gansemble.contract import GeneratorContract
from gansemble.errors import GansembleError
from gansemble.evaluation import samples, walls
from gansemble.evaluation.samples import SampleOptions
from gansemble.parts.sampling import Sample, Truncation
from gansemble.recipe.task import Task


class Sampler:
    """Clips whose samples are the latent vector's first number; it draws the index of the clip."""

    phase = "guessed"

    def __init__(self, reads: set[str], classes: int | None) -> None:
        self.condition_builder = SimpleNamespace(reads=frozenset(reads), latent=2, latent_law="uniform")
        self.generator, self.representation, self.classes = "network", "picture", classes
        self.calls: list[tuple[Any, ...]] = []
        self.level = 0.01

    def one(self, index: int, label: Any = None, latent: Any = None, cut: Any = None, decode: Any = None) -> Sample:
        self.calls.append((index, label, None if latent is None else latent.tolist(), cut, decode))
        z = torch.tensor([float(index), 1.0]) if latent is None else latent
        shown = None if isinstance(label, torch.Tensor) else label
        return Sample(np.full(100, self.level * float(z[0]), np.float32), z.numpy(), shown)


@pytest.fixture
def make(monkeypatch, tmp_path) -> Callable[..., Any]:
    """``make(…)``: (what is said, the facts beside each clip, the page's pieces, the sampler)."""

    def run(
        reads: tuple[str, ...] = ("latent", "label"),
        contract: GeneratorContract | None = None,
        phase: str | None = None,
        level: float = 0.01,
        **wanted: Any,
    ) -> Any:
        contract = contract or GeneratorContract(classes=3)
        sampler = Sampler(set(reads), contract.classes)
        sampler.phase, sampler.level = phase, level
        demanded = []
        recipe = SimpleNamespace(
            name="mine",
            generator_contract=contract,
            single={"generator": SimpleNamespace(use="net")},
            plan=SimpleNamespace(segment=77),
            evaluation="how sounds are held",
            demand_task=lambda task, exp: demanded.append((task, exp)),
        )
        trained = SimpleNamespace(
            recipe=recipe,
            sampler=lambda seed: sampler,
            spec=SimpleNamespace(sample_rate=1000),
            step=7,
            source=Path("checkpoints/step-7"),
            device="cpu",
            identity="0123456789abcdef of its weights",
        )
        loaded, pages, folders = [], [], []
        lowest = contract.pitches[0] if contract.pitches else None

        def load(exp: Path, checkpoint: str, warn: Any) -> Any:
            loaded.append((exp, checkpoint))
            return trained

        monkeypatch.setattr(samples, "load", load)
        monkeypatch.setattr(samples, "Labels", SimpleNamespace(of=lambda recipe: SimpleNamespace(lowest=lowest)))
        monkeypatch.setattr(samples, "mixes_labels", lambda generator: generator == "network")
        monkeypatch.setattr(walls, "look_of", lambda recipe: "look")
        monkeypatch.setattr(walls, "wall", lambda *given: pages.append(given) or "page")
        output = tmp_path / "out"
        output.mkdir(exist_ok=True)
        options = SampleOptions(Path("exp"), output, **{"overwrite": True} | wanted)
        said = samples.make(options, lambda *given: folders.append(given), print)
        assert demanded == [(Task.GENERATION, Path("exp"))] and folders == [(output, Path("exp"))]
        assert loaded == [(Path("exp"), wanted.get("checkpoint", "best"))]
        assert (output / "index.html").read_text() == "page"
        facts = [json.loads(path.read_text()) for path in sorted(output.glob("*.json"))]
        return said, facts, pages[0], sampler

    return run


def test_what_is_made_where_nothing_is_asked_for(make, tmp_path):
    """Sixteen clips of seed 0, of all classes in turn, each from a vector of its own."""
    said, facts, (title, note, shown, spec, look, settings), sampler = make()
    assert said == f"16 clips of 0.10 s in {tmp_path}/out (step 7, seed 0)"
    assert [call[:4] for call in sampler.calls] == [(n, n % 3, None, None) for n in range(16)]
    assert facts[4] == {
        "exp": "exp",
        "checkpoint": "step-7",
        "step": 7,
        "generator": "0123456789abcdef",
        "format": "pcm16",
        "seed": 0,
        "index": 4,
        "label": 1,
        "truncation": None,
        "truncation_mode": None,
        "interpolate": None,
        "same_latent": False,
        "between_labels": None,
        "latent": None,
        "clipped": 0,
    }
    assert (title, note, spec.sample_rate, look) == ("Samples", "mine, step 7, seed 0", 1000, "look")
    assert settings == "how sounds are held"
    assert [caption for caption, _ in shown][:2] == ["00000 · label 0", "00001 · label 1"] and len(shown) == 16
    assert (tmp_path / "out" / "sample-00004.json").read_text().startswith('{\n "exp"'), "a line for each field"
    assert np.load(tmp_path / "out" / "sample-00004.npy").tolist() == [4.0, 1.0]
    names = {path.suffix for path in (tmp_path / "out").glob("sample-00015.*")}
    assert names == {".wav", ".npy", ".json"}


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (65, 64)])
def test_the_page_shows_64_clips(make, count, shown):
    _, facts, page, _ = make(count=count)
    assert (len(facts), len(page[2])) == (count, shown)


def test_samples_beyond_full_scale_are_counted(make):
    """Clips 2 and 3 of four, whose levels are 0, 0.75, 1.5 and 2.25."""
    said, facts, _, _ = make(count=4, level=0.75, checkpoint="last")
    assert [each["clipped"] for each in facts] == [0, 0, 100, 100] and said.endswith(", 200 samples clipped")


def test_what_is_not_finite_is_not_written(make, tmp_path, capsys):
    with pytest.raises(GansembleError, match="2 of 2 clips could not be made, as said above; 0 are in"):
        make(count=2, level=float("inf"))
    assert "sample-00000.wav: the generator made NaN or Inf" in capsys.readouterr().out
    assert not list((tmp_path / "out").iterdir())


def test_a_phase_is_told_everywhere(make):
    said, facts, page, _ = make(count=1, phase="a guess")
    assert said.endswith("; phase: a guess") and page[1].endswith("; phase: a guess") and facts[0]["phase"] == "a guess"


def test_the_phase_of_a_recording_or_a_vocoder_takes_the_place_of_the_representations_own(make, monkeypatch):
    monkeypatch.setattr(samples.phases, "of_recording", lambda *given: ("recording", *given))
    monkeypatch.setattr(samples.phases, "of_vocoder", lambda *given: ("vocoder", *given))
    said, _, _, sampler = make(count=1, phase="a guess", phase_of=Path("r.wav"))
    name, picture, path, spec, length = sampler.calls[0][4]
    assert (name, picture, path, spec.sample_rate, length) == ("recording", "picture", Path("r.wav"), 1000, 77)
    assert said.endswith("; phase: that of r.wav")
    said, _, _, sampler = make(count=1, phase="a guess", vocoder=Path("v"))
    name, picture, path, spec, device = sampler.calls[0][4]
    assert (name, picture, path, spec.sample_rate, device) == ("vocoder", "picture", Path("v"), 1000, "cpu")
    assert said.endswith("; phase: made by the vocoder v")


def test_truncation_is_handed_on(make):
    _, facts, _, sampler = make(count=1, truncation=0.5, truncation_mode="resample")
    assert sampler.calls[0][3] == Truncation(0.5, "resample")
    assert (facts[0]["truncation"], facts[0]["truncation_mode"]) == (0.5, "resample")
    assert SampleOptions(Path(), Path(), truncation=2.0).cut == Truncation(2.0, "scale")


def test_labels_go_round_and_generators_without_labels_get_none(make):
    assert [call[1] for call in make(count=5, labels=[2, 0])[3].calls] == [2, 0, 2, 0, 2]
    assert [call[1] for call in make(count=2, reads=("latent",))[3].calls] == [None, None]


def test_pitches_are_counted_from_the_lowest(make):
    _, facts, page, sampler = make(count=3, contract=GeneratorContract(pitches=(60, 62)), pitches=[62, 60])
    assert [call[1] for call in sampler.calls] == [2, 0, 2] and [each["pitch"] for each in facts] == [62, 60, 62]
    assert [caption for caption, _ in page[2]] == ["00000 · pitch 62", "00001 · pitch 60", "00002 · pitch 62"]


def test_one_vector_serves_all(make, tmp_path):
    _, facts, page, sampler = make(count=3, same_latent=True, labels=[2])
    assert sampler.calls[0] == (0, 2, None, None, None), "it is that of the first clip"
    assert [call[:3] for call in sampler.calls[1:]] == [(n, 2, [0.0, 1.0]) for n in range(3)]
    assert facts[1]["same_latent"] is True and "one latent vector for all" in page[1]


def test_a_vector_that_is_given_serves_all(make, tmp_path):
    np.save(tmp_path / "z.npy", np.array([0.5, 999_999.0]))
    _, facts, page, sampler = make(count=2, latent=tmp_path / "z.npy")
    assert [call[2] for call in sampler.calls] == [[0.5, 999_999.0]] * 2
    assert facts[0]["latent"] == str(tmp_path / "z.npy") and facts[0]["same_latent"] is False
    assert f"the latent vector of {tmp_path}/z.npy" in page[1] and "one latent" not in page[1]
    _, _, _, sampler = make(count=1, latent=tmp_path / "z.npy", same_latent=True)
    assert [call[2] for call in sampler.calls] == [[0.5, 999_999.0]], "none is drawn"


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.array([0.0, 1e6]), "expected finite numbers, got 1000000.0"),
        (np.array([-1e6, 0.0]), "expected finite numbers, got -1000000.0"),
        (np.array([1, 2]), "expected an array of real numbers, got int64"),
        (np.zeros((1, 2)), r"expected shape \(2,\), got \(1, 2\)"),
    ],
)
def test_a_vector_that_is_none_is_told(make, tmp_path, array, told):
    np.save(tmp_path / "z.npy", array)
    with pytest.raises(GansembleError, match=told):
        make(latent=tmp_path / "z.npy")


def test_an_interpolation_goes_from_one_vector_to_another_with_the_first_ones_label(make):
    _, facts, page, sampler = make(count=3, interpolate=(4, 2))
    assert [call[0] for call in sampler.calls[:2]] == [4, 2], "both ends are drawn"
    assert [call[:3] for call in sampler.calls[2:]] == [(0, 1, [4.0, 1.0]), (1, 1, [3.0, 1.0]), (2, 1, [2.0, 1.0])]
    assert facts[0]["interpolate"] == [4, 2] and "from the latent vector of clip 4 to that of clip 2" in page[1]
    _, _, _, sampler = make(count=2, interpolate=(4, 2), labels=[2, 0])
    assert [call[1] for call in sampler.calls[2:]] == [2, 0], "labels that are asked for go round"
    _, _, _, sampler = make(count=2, interpolate=(1, 0), contract=GeneratorContract(pitches=(5, 7)), pitches=[7, 6])
    assert [call[1] for call in sampler.calls[2:]] == [2, 1]
    assert [call[1] for call in make(count=2, interpolate=(1, 0), reads=("latent",))[3].calls] == [None] * 4


def test_from_class_to_class_with_one_vector(make):
    _, facts, page, sampler = make(count=3, between_labels=(2, 0))
    assert [call[1].tolist() for call in sampler.calls[1:]] == [[0, 0, 1], [0.5, 0, 0.5], [1, 0, 0]]
    assert [call[2] for call in sampler.calls[1:]] == [[0.0, 1.0]] * 3
    assert facts[1]["classes"] == [0.5, 0.0, 0.5] and facts[1]["between_labels"] == [2, 0]
    assert "from class 2 to class 0" in page[1] and page[2][1][0] == "00001 · 50% class 0 · 50% class 2"
    _, _, _, sampler = make(count=2, between_labels=(0, 1), interpolate=(3, 1))
    assert [call[1].tolist() for call in sampler.calls[2:]] == [[1, 0, 0], [0, 1, 0]]
    assert [call[2] for call in sampler.calls[2:]] == [[3.0, 1.0], [1.0, 1.0]], (
        "vectors change, too, if that is asked for"
    )


@pytest.mark.parametrize(
    ("ends", "reads", "told"),
    [
        ((0, 3), ("label",), "--between-labels 3: must be below 3"),
        ((4, 0), ("label",), "--between-labels 4: must be below 3"),
        ((0, 1), ("latent",), "generator net reads no mixtures of classes"),
    ],
)
def test_classes_that_cannot_be_mixed_are_told(make, ends, reads, told):
    with pytest.raises(GansembleError, match=told):
        make(between_labels=ends, reads=reads)
    assert make(count=1, between_labels=(0, 2))[1][0]["classes"] == [1, 0, 0]


@pytest.mark.parametrize(
    ("options", "one"),
    [
        ({}, False),
        ({"same_latent": True}, True),
        ({"between_labels": (0, 1)}, True),
        ({"between_labels": (0, 1), "interpolate": (0, 1)}, False),
        ({"between_labels": (0, 1), "latent": Path("z")}, False),
        ({"same_latent": True, "latent": Path("z")}, True),
    ],
)
def test_when_all_clips_share_a_vector(options, one):
    assert SampleOptions(Path(), Path(), **options).one_latent is one


def test_options_by_default():
    found = SampleOptions(Path("e"), Path("o"))
    assert (found.count, found.seed, found.checkpoint, found.sample_format) == (16, 0, "best", "pcm16")
    assert (found.same_latent, found.truncation_mode, found.cut) == (False, "scale", None)


# what is there already --------------------------------------------------


def there(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text("x")


def test_what_an_earlier_run_made_is_replaced(make, tmp_path):
    make(count=4)
    make(count=2)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "index.html",
        *(f"sample-0000{n}{suffix}" for n in range(2) for suffix in (".json", ".npy", ".wav")),
    ]


@pytest.mark.parametrize(
    ("names", "foreign"),
    [
        (("sample-00000.json", "sample-00000.wav", "sample-00001.wav", "index.html"), None),
        (("sample-00000.json",), None),
        ((), None),
        (("sample-00000.wav",), "sample-00000.wav"),
        (("sample-00000.json", "sample-00001.wav", "sample-00002.wav"), "sample-00000.json"),
        (("sample-00000.json", "sample-00000.mp3"), "sample-00000.mp3"),
        (("sample-00000.json", "sample-x.wav"), "sample-x.wav"),
        (("sample-00000.json", "b.wav", "a.wav"), "a.wav"),
        (("index.html",), "index.html"),
    ],
)
def test_a_folder_with_files_of_others_is_refused(make, tmp_path, names, foreign):
    """One clip may be without its settings, as a stopped run leaves it; a page alone is someone else's."""
    (tmp_path / "out").mkdir()
    there(tmp_path / "out", *names)
    if foreign is None:
        make(count=1)
        return
    with pytest.raises(GansembleError, match=f"holds {foreign}, which this command did not make"):
        make(count=1)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
