"""The fidelity cards: every place and every test they name exists, and the published values they quote are the recipes'.

A card says, claim by claim, what of a paper is where, what differs and why, and which test holds it.
"""

from __future__ import annotations

import ast
import copy
import functools
import importlib
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gansemble.audio.spec import AudioSpec
from gansemble.data.manifest import ManifestEntry
from gansemble.data.packed import Packed
from gansemble.interfaces import Batch, Condition, DiscriminatorOutput, Step
from gansemble.parts.discriminators import Discriminators
from gansemble.random import Draws
from gansemble.recipe import check, document, fill
from gansemble.recipe.compose import compose
from gansemble.recipe.sections import Plan
from gansemble.training.schedule import TrainingSchedule
from gansemble_plugins.basics.losses import FeatureMatching, MelL1
from gansemble_plugins.hifigan.discriminators import MultiScale
from gansemble_plugins.specdiff.filter import log_magnitude
from gansemble_plugins.specdiff.injector import SpectralDiffusion
from gansemble_plugins.vocos.generator import Vocos

torch.set_num_threads(1)
ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "plugins" / "gansemble_plugins"
CARDS = sorted(PLUGINS.glob("*/fidelity.yaml"))
KEYS = {"source", "says", "ours", "deviation", "why", "test"}
#: A paper by its number, or by where it was submitted where no number is known for certain.
CITED = re.compile(r"arXiv \d{4}\.\d{5}|submitted to\s[A-Z]+\s\d{4}")


@functools.cache
def card(plugin: str) -> dict[str, Any]:
    return document.read(PLUGINS / plugin / "fidelity.yaml").value


CLAIMS = [
    pytest.param(path.parent.name, claim, id=f"{path.parent.name}-{index}")
    for path in CARDS
    for index, claim in enumerate(card(path.parent.name)["claims"])
]
every_card = pytest.mark.parametrize("plugin", [path.parent.name for path in CARDS])
every_claim = pytest.mark.parametrize(("plugin", "claim"), CLAIMS)


# where things are -------------------------------------------------------


@functools.cache
def composed(path: Path) -> dict[str, Any]:
    return compose(path).value


def locate(plugin: str, place: str) -> Any:
    """What a place names: ``recipe.yaml:key.path``, or ``file.py:Qualified.name`` in the plugin's folder, in
    ``gansemble/`` or in ``gansemble_plugins/``.

    Raises:
        LookupError: if there is no such file, key or name.
    """
    file, colon, name = place.partition(":")
    if not colon or not name:
        raise LookupError(f"{place}: expected file:name")
    if file.startswith("egs/"):
        return key_of(composed(existing(ROOT / file)), name)
    if file.startswith("gansemble/"):
        existing(ROOT / "toolkit" / file)
    else:
        file = file.removeprefix("gansemble_plugins/") if "/" in file else f"{plugin}/{file}"
        existing(PLUGINS / file)
        file = f"gansemble_plugins/{file}"
    module = file.removesuffix(".py").replace("/", ".")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        if not hasattr(found, part):
            raise LookupError(f"{place}: {found} has no {part}")
        found = getattr(found, part)
        if getattr(found, "__module__", module) != module:
            raise LookupError(f"{place}: {part} is of {found.__module__}")
    return found


def existing(path: Path) -> Path:
    if not path.is_file():
        raise LookupError(f"no such file: {path}")
    return path


def key_of(value: Any, name: str) -> Any:
    """The value at a dotted key path."""
    for key in name.split("."):
        if not isinstance(value, dict) or key not in value:
            raise LookupError(f"no key {key} of {name}")
        value = value[key]
    return value


@functools.cache
def functions(path: Path) -> frozenset[str]:
    """The functions at the top of a file."""
    tree = ast.parse(existing(path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def assert_is_a_test(name: str) -> None:
    file, _, function = name.partition("::")
    assert file.startswith("tests/") and function.startswith("test_"), name
    assert function in functions(ROOT / file), f"{file} has no {function}"


# the cards --------------------------------------------------------------


def test_each_papers_plugin_has_a_card() -> None:
    """A paper's plugin is one whose docstring cites the paper."""
    sources = {path.parent.name: path.read_text(encoding="utf-8") for path in PLUGINS.glob("*/__init__.py")}
    cited = {name: CITED.search(ast.get_docstring(ast.parse(text)) or "") for name, text in sources.items()}
    papers = {name: " ".join(match[0].split()) for name, match in cited.items() if match}
    assert {"hifigan", "specdiff", "vocos"} <= papers.keys()
    assert papers.keys() == {path.parent.name for path in CARDS}
    assert all(number in card(name)["paper"] for name, number in papers.items())


@every_card
def test_a_card_is_well_formed(plugin: str) -> None:
    text = (PLUGINS / plugin / "fidelity.yaml").read_text(encoding="utf-8")
    assert "\t" not in text and max(map(len, text.splitlines())) <= 120
    assert set(card(plugin)) == {"paper", "claims"}
    said = [claim["says"] for claim in card(plugin)["claims"]]
    assert len(said) == len(set(said)) >= 6


@every_claim
def test_a_claim_is_complete(plugin: str, claim: dict[str, Any]) -> None:
    """Exactly the keys; a deviation has a reason, and what no test holds says why."""
    assert set(claim) == KEYS | ({"untested"} if claim["test"] is None else set())
    assert all(isinstance(claim[key], str) and claim[key] for key in ("source", "says", "ours"))
    assert (claim["deviation"] is None) == (claim["why"] is None)
    assert all(value is None or (isinstance(value, str) and value.strip()) for value in claim.values())
    assert claim["test"] is not None or claim["untested"]


@every_claim
def test_a_claims_place_exists(plugin: str, claim: dict[str, Any]) -> None:
    locate(plugin, claim["ours"])


@every_claim
def test_a_claims_test_exists(plugin: str, claim: dict[str, Any]) -> None:
    if claim["test"] is not None:
        assert_is_a_test(claim["test"])


@every_card
def test_a_plugins_readme_links_to_its_card_and_gives_reasons(plugin: str) -> None:
    """Where a card has deviations, the README has a table of them with a column ``why``."""
    lines = (PLUGINS / plugin / "README.md").read_text(encoding="utf-8").splitlines()
    assert any("(fidelity.yaml)" in line for line in lines)
    if any(claim["deviation"] for claim in card(plugin)["claims"]):
        (head,) = [i for i, line in enumerate(lines) if line.startswith("|") and "why" in cells(line)]
        assert lines[head + 2].startswith("|") and any(cells(lines[head + 2]))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


@pytest.mark.parametrize(
    "place",
    [
        "injector.py", "injector.py:", "absent.py:Name", "injector.py:Absent", "injector.py:SpectralDiffusion.absent",
        "injector.py:ForwardProcess", "noise.py:ForwardProcess", "gansemble/absent.py:Name",
        "gansemble_plugins/specdiff/forward_process.py:ForwardProcess.absent", "gansemble_plugins/hifigan/injector.py:SpectralDiffusion",
        "egs/ljspeech/specdiff/conf/absent.yaml:plan.steps", "egs/ljspeech/specdiff/conf/v1.yaml:plan.absent",
        "egs/ljspeech/specdiff/conf/v1.yaml:discriminators.msd",
    ],
)  # fmt: skip
def test_places_that_are_not_there_are_found_out(place: str) -> None:
    with pytest.raises(LookupError):
        locate("specdiff", place)


def test_places_that_are_there_are_found() -> None:
    """Beside the card, in another plugin, in the core, and in what a recipe includes."""
    assert locate("specdiff", "injector.py:SpectralDiffusion.__call__") is SpectralDiffusion.__call__
    assert locate("hifigan", "gansemble_plugins/specdiff/injector.py:SpectralDiffusion") is SpectralDiffusion
    assert locate("specdiff", "gansemble/interfaces/networks.py:Condition") is Condition
    assert locate("specdiff", "egs/ljspeech/specdiff/conf/v1.yaml:plan.segment") == 8192


@pytest.mark.parametrize(
    "name", ["tests/papers/test_vocos.py::test_absent", "tests/papers/test_absent.py::test_it", "tests/papers"]
)
def test_tests_that_are_not_there_are_found_out(name: str) -> None:
    with pytest.raises((AssertionError, LookupError)):
        assert_is_a_test(name)


# what the cards quote ---------------------------------------------------

TRAINING = {
    **{f"optimisers.{side}.{key}": value for side in ("generator", "discriminators") for key, value in {
        "use": "adamw", "lr": 2e-4, "betas": [0.8, 0.99], "weight_decay": 0.01, "decay": 0.999, "warmup": 0,
        "cosine": False}.items()},
    "plan.steps": 2_500_000, "plan.batch_size": 16, "plan.drop_last": True, "plan.segment": 8192, "plan.seed": 1234, "plan.clip": None,
    "plan.ema": None, "plan.precision": "no", "plan.generator_every": 1, "plan.discriminators_from": 0,
    "data.normalise": 0.95, "objective": {"use": "lsgan", "weight": 1.0},
    "losses": {"mel": {"use": "mel_l1", "weight": 45.0, "full_band": True},
               "features": {"use": "feature_matching", "weight": 2.0, "logits": True}},
    "discriminators.mpd": {"use": "multi_period", "weight": 1.0, "periods": [2, 3, 5, 7, 11],
                           "channels": [32, 128, 512, 1024], "kernel": 5, "stride": 3, "first_map": True},
    "audio": {"sample_rate": 22050, "n_fft": 1024, "hop": 256, "window": 1024, "mels": 80, "fmin": 0.0, "fmax": 8000.0,
              "log_floor": 1e-5, "power_floor": 1e-9},
    "corpus.use": "ljspeech",
}  # fmt: skip
MSD = {
    "discriminators.msd": {
        "use": "multi_scale", "weight": 1.0, "scales": 3, "width": 1.0, "spectral_norm_start": "cold",
    }
}  # fmt: skip
MRD = {
    "discriminators.mrd": {
        "use": "multi_resolution", "weight": 1.0, "channels": 32, "slope": 0.1, "window": "rectangular",
        "resolutions": [[1024, 120, 600], [2048, 240, 1200], [512, 50, 240]],
    }
}  # fmt: skip
V1 = {
    "use": "hifigan", "channels": 512, "upsample_rates": [8, 8, 2, 2], "upsample_kernels": [16, 16, 4, 4],
    "kernels": [3, 7, 11], "dilations": [[1, 3, 5]] * 3, "residual": "1",
    "initialisation": "torch",
    "classes": None,
    "causal": False,
}  # fmt: skip
V3 = {
    "use": "hifigan", "channels": 256, "upsample_rates": [8, 8, 4], "upsample_kernels": [16, 16, 8],
    "kernels": [3, 5, 7], "dilations": [[1, 2], [2, 6], [3, 12]], "residual": "2",
    "initialisation": "torch",
    "classes": None,
    "causal": False,
}  # fmt: skip
SCHEDULE = {
    "beta_first": 1e-6, "beta_last": 1e-2, "t_min": 10, "t_max": 1000, "fixed_t": None, "pool": 64, "target": 0.6,
    "every": 4, "kwav": 500.0,
}  # fmt: skip
DIFFUSION = {
    **{f"noise_injector.schedule.{key}": value for key, value in SCHEDULE.items()},
    "noise_injector.sigma": 0.05,
    "noise_injector.threshold": 0.5,
    "noise_injector.shared_t": True,
    "noise_injector.shared_noise": False,
}
SHAPED = {f"noise_injector.{key}": value for key, value in {"shaping": "inverse", "lifter": 24, "floor": 0.01}.items()}
VOCOS_RATE = {"lr": 5e-4, "betas": [0.8, 0.9], "cosine": True}
PUBLISHED = {
    "hifigan/conf/v1.yaml": {**TRAINING, **MSD, "generator": V1, "noise_injector": None},
    "hifigan/conf/v2.yaml": {**TRAINING, **MSD, "generator": V1 | {"channels": 128}},
    "hifigan/conf/v3.yaml": {**TRAINING, **MSD, "generator": V3},
    "specdiff/conf/v1.yaml": {**TRAINING, **MRD, **DIFFUSION, **SHAPED, "generator": V1},
    "standarddiff/conf/v1.yaml": {**TRAINING, **MRD, **DIFFUSION, "generator": V1, "noise_injector.use": "diffusion"},
    "hifigan/conf/small.yaml": {
        f"optimisers.{side}.{key}": value
        for side in ("generator", "discriminators")
        for key, value in VOCOS_RATE.items()
    },
}


@functools.cache
def filled(recipe: str) -> dict[str, Any]:
    """A recipe with every default written out."""
    return fill.fill(check.load(ROOT / "egs" / "ljspeech" / recipe))


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_recipes_hold_the_published_values(recipe: str) -> None:
    assert {key: key_of(filled(recipe), key) for key in PUBLISHED[recipe]} == PUBLISHED[recipe]


@pytest.mark.parametrize(("method", "second"), [("hifigan", "msd"), ("specdiff", "mrd"), ("standarddiff", "mrd")])
def test_two_discriminators_judge_as_published(method: str, second: str) -> None:
    """MRD takes MSD's place; nothing stands beside it."""
    assert set(filled(f"{method}/conf/v1.yaml")["discriminators"]) == {"mpd", second}


# what they claim and no other test holds --------------------------------


def noise(seed: int, *shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_mel_loss_is_of_clean_signals_and_feature_matching_of_judged_ones() -> None:
    """What the discriminators saw changes the first by nothing, and the second is of their outputs alone."""
    real, fake = noise(0, 2, 1, 2048), noise(1, 2, 1, 2048)
    condition, batch = Condition(), Batch(real, ("a", "b"), Draws.plain(0, 2))

    def step(seen_real: torch.Tensor, seen_fake: torch.Tensor) -> Step:
        network, outputs = (
            torch.nn.Identity(),
            [{"d": (DiscriminatorOutput(x[:, 0], (x,)),)} for x in (seen_real, seen_fake)],
        )
        return Step(
            0, batch, real, fake, condition, condition, seen_real, seen_fake, network, network, {"d": 1.0}, *outputs
        )

    mel, features = MelL1(audio=AudioSpec(n_fft=256, hop=64, window=256, mels=20)), FeatureMatching()
    clean, noisy = step(real, fake), step(real + 1, fake + 3)
    assert torch.equal(mel(clean, "generator"), mel(noisy, "generator")) and mel(clean, "generator") > 0.1
    assert float(features(noisy, "generator")) == pytest.approx(float((real - fake - 2).abs().mean()))


@pytest.mark.parametrize(("normalise", "expected"), [(0.95, 0.95), (None, 0.25)])
def test_training_clips_are_scaled_whole(normalise: float | None, expected: float) -> None:
    """Every crop by the whole clip's peak, and not by its own."""
    samples = np.array([0, 4096, 8192, -2048, 1024], np.int16)
    packed = object.__new__(Packed)
    packed.entries = [ManifestEntry("a", "a.wav", "train", 22050, 5, 1, 22050, 0, 0.25, "", "audio.i16")]
    packed.normalise, packed._packs = normalise, {"audio.i16": samples}  # type: ignore[dict-item]
    assert float(packed.read(0).max()) == pytest.approx(expected)
    assert packed.read(0, 3, 2).tolist() == pytest.approx([-expected / 4, expected / 8])


def test_vocos_trunk_is_the_published_one() -> None:
    """Embedding, norms, blocks and head, written out."""
    spec = AudioSpec(sample_rate=16000, n_fft=256, hop=64, window=256, mels=20, fmax=None)
    network = Vocos(audio=spec, dim=16, hidden=32, blocks=2).double()
    draw, heads = torch.Generator().manual_seed(0), []
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=draw)
    network.head.register_forward_hook(lambda module, given, made: heads.append(made))
    mel = noise(1, 2, 20, 9).double()
    network(Condition(signals={"mel": mel}))
    w = dict(network.named_parameters())

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, (16,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-6)

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    x = norm(F.conv1d(mel, w["embed.weight"], w["embed.bias"], padding=3).transpose(1, 2), "norm")
    for block in ("blocks.0", "blocks.1"):
        kernel = w[f"{block}.depthwise.weight"], w[f"{block}.depthwise.bias"]
        y = norm(F.conv1d(x.transpose(1, 2), *kernel, padding=3, groups=16).transpose(1, 2), f"{block}.norm")
        y = linear(F.gelu(linear(y, f"{block}.expand")), f"{block}.contract_back")
        x = x + w[f"{block}.scale"] * y
    expected = linear(norm(x, "final_norm"), "head")
    assert expected.std() > 0.1
    torch.testing.assert_close(heads[0], expected, atol=1e-12, rtol=0)


def test_magnitudes_are_clamped_80_db_below_their_frames_largest() -> None:
    """One loud band holds all others of its frame within 80 dB; nothing falls below 1e-5."""
    spec = AudioSpec()
    mel = torch.full((1, spec.mels, 2), -30.0, dtype=torch.float64)
    mel[0, 40, 0] = 1.0
    loud, silent = log_magnitude(mel, spec, "principled")[0]
    assert float(loud.max() - loud.min()) == pytest.approx(math.log(1e4))
    assert silent.tolist() == pytest.approx([math.log(1e-5)] * 513)


def test_each_epoch_has_an_order_of_its_own() -> None:
    """Twice the same clips, in two orders."""
    schedule = TrainingSchedule(Plan(), 50)
    first, second = ([clip for _, clip in schedule.items(start, 50)] for start in (0, 50))
    assert sorted(first) == sorted(second) == list(range(50)) and first != second


def test_spectral_norm_is_refined_once_for_real_and_fake() -> None:
    """Judging a pair moves its estimate as far as judging one signal does, and no further."""
    first, second = ((noise(seed, 1, 1, 600), Condition()) for seed in (0, 1))
    start = Discriminators({"msd": MultiScale(scales=1, width=1 / 16)})

    def estimate(*turns: tuple[tuple[torch.Tensor, Condition], ...]) -> torch.Tensor:
        critics = copy.deepcopy(start)
        for pairs in turns:
            critics(*pairs)
        return torch.cat([value for name, value in critics.state_dict().items() if name.endswith("._u")])

    assert torch.equal(estimate((first, second)), estimate((first,)))
    assert not torch.equal(estimate((first,), (second,)), estimate((first,)))
