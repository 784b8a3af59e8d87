"""Exported files make what the generator makes in torch, for any length, or are not written, with the reason."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import exported_experiments as experiments
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gansemble
from gansemble.audio.spec import AudioSpec
from gansemble.contract import GeneratorContract
from gansemble.errors import GansembleError
from gansemble.exporting import graph, parity
from gansemble.exporting.graph import NotExportable
from gansemble.exporting.plain import Inputs, PlainGenerator
from gansemble.exporting.writing import checked_model, demand_exportable
from gansemble.interfaces import Condition
from gansemble.plugins.loading import Plugins
from gansemble.testing.subject import Subject
from gansemble_plugins.superres.baselines import BandReplication, SincLowpass

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

torch.set_num_threads(1)
registry = Plugins().registry
MEL = Inputs.of(GeneratorContract(reads=frozenset({"mel"})), AudioSpec(mels=8))


class Summed(nn.Module):
    """A generator of one expression: the mel bands' sum, changed by a function."""

    def __init__(self, change) -> None:
        super().__init__()
        self.change = change

    def forward(self, condition: Condition) -> Tensor:
        return self.change(condition.signal("mel").sum(1, keepdim=True))


def exported(change) -> parity.Run:
    plain = PlainGenerator(Summed(change), MEL, torch.clone).eval()
    model, _ = checked_model(plain, "generator summed")
    return parity.onnx_run(model.SerializeToString())


def refusal(change) -> str:
    with pytest.raises(NotExportable) as caught:
        exported(change)
    said = str(caught.value)
    assert "\n" not in said and said.startswith("generator summed")
    return said


@pytest.fixture(scope="module")
def vocoder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    gansemble.export(experiments.make(folder / "exp"), folder / "vocoder.onnx", licence="cc-by-4.0")
    return folder


def facts_of(path: Path) -> dict:
    (entry,) = [each for each in onnx.load(path).metadata_props if each.key == "gansemble"]
    return json.loads(entry.value)


# what a file holds ----------------------------------------------------------


def test_inputs_and_output_have_names_and_free_axes(vocoder):
    session = onnxruntime.InferenceSession(vocoder / "vocoder.onnx")
    assert [(each.name, each.shape) for each in session.get_inputs()] == [("mel", ["batch", 20, "frames"])]
    assert [(each.name, each.shape) for each in session.get_outputs()] == [("audio", ["batch", 1, "samples"])]
    assert {each.version for each in onnx.load(vocoder / "vocoder.onnx").opset_import if not each.domain} == {18}


@pytest.mark.parametrize("frames", [1, 2, 31, 100])
def test_it_makes_what_the_experiment_makes(vocoder, frames):
    mel = torch.randn(2, 20, frames, generator=torch.Generator().manual_seed(frames)) - 5
    session = onnxruntime.InferenceSession(vocoder / "vocoder.onnx")
    (made,) = session.run(None, {"mel": mel.numpy()})
    wanted = gansemble.load(vocoder / "exp", device="cpu")(mel).numpy()
    assert made.shape == wanted.shape == (2, 1, frames * 64)
    assert np.abs(made - wanted).max() < 1e-6 < np.abs(wanted).max()


def test_the_metadata_say_all_that_is_needed_to_run_it(vocoder):
    facts = facts_of(vocoder / "vocoder.onnx")
    trained = gansemble.load(vocoder / "exp", device="cpu")
    assert AudioSpec(**facts["audio"]) == trained.spec and facts["audio_hash"] == trained.spec.digest()
    assert (facts["format"], facts["gansemble"], facts["opset"]) == (1, gansemble.__version__, 18)
    assert (facts["task"], facts["generator"], facts["step"]) == ("vocoding", "vocos", 2)
    assert (facts["checkpoint"], facts["licence"]) == (trained.identity, "cc-by-4.0")
    assert (facts["hop"], facts["context_frames"], facts["alignment"]) == (64, 10, 1)
    assert facts["inputs"]["mel"]["shape"] == ["batch", 20, "frames"]
    assert facts["parity"]["largest_difference"] < 1e-6
    assert [each["length"] for each in facts["parity"]["compared"]] == [1, 7, 33, 50]


def test_pytorch_leaves_no_mark_on_what_was_exported(vocoder):
    """Windows that were kept while a graph was traced would hold no numbers afterwards."""
    trained = gansemble.load(vocoder / "exp", device="cpu")
    mel = torch.zeros(1, 20, 4) - 5
    before = trained(mel)
    gansemble.export(trained, vocoder / "again.onnx")
    assert torch.equal(trained(mel), before)


def test_a_label_is_an_input_and_its_names_are_kept(tmp_path):
    exp = experiments.make(tmp_path / "exp", experiments.SPEAKERS, ("ann", "bob", "cy"))
    gansemble.export(exp, tmp_path / "speakers.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "speakers.onnx")
    assert [(each.name, each.type) for each in session.get_inputs()] == [
        ("label", "tensor(int64)"),
        ("mel", "tensor(float)"),
    ]
    assert facts_of(tmp_path / "speakers.onnx")["classes"] == ["ann", "bob", "cy"]


# other formats --------------------------------------------------------------


def test_torchscript_makes_the_same_at_other_lengths(vocoder):
    gansemble.export(vocoder / "exp", vocoder / "vocoder.pt", format="torchscript")
    held = {"gansemble": ""}
    script = torch.jit.load(vocoder / "vocoder.pt", _extra_files=held)
    mel = torch.randn(1, 20, 41, generator=torch.Generator().manual_seed(0)) - 5
    assert torch.allclose(script(mel), gansemble.load(vocoder / "exp", device="cpu")(mel), atol=1e-6)
    assert json.loads(held["gansemble"])["parity"]["largest_difference"] < 1e-6


def test_safetensors_hold_the_folded_weights_and_the_recipe(tmp_path):
    exp = experiments.make(tmp_path / "exp", experiments.SPEAKERS)
    gansemble.export(exp, tmp_path / "speakers.safetensors", format="safetensors")
    from safetensors import safe_open

    with safe_open(tmp_path / "speakers.safetensors", "pt") as held:
        names, said = set(held.keys()), held.metadata()
    assert "conv_pre.weight" in names and not [name for name in names if "parametrizations" in name]
    assert "use: hifigan" in said["recipe"] and json.loads(said["gansemble"])["labels"] == 3


# what cannot be exported ----------------------------------------------------


def test_a_condition_on_values_is_named_with_its_line(capfd):
    said = refusal(lambda x: x * 2 if x.mean() > 0 else x)
    assert "test_exporting.py:" in said and "if x.mean() > 0" in said and "depends on the values" in said
    assert capfd.readouterr() == ("", "")


def test_a_number_taken_of_a_tensor_is_named(capfd):
    assert "int(x.abs().max())" in refusal(lambda x: x * int(x.abs().max()))
    assert capfd.readouterr() == ("", "")


def test_a_generator_that_reads_other_channels_than_it_says_is_named():
    said = refusal(lambda x: nn.functional.conv1d(x, torch.ones(1, 5, 1)))
    assert "of mel [2, 8, 13], as its contract states them, it makes nothing" in said and "conv1d" in said


def test_an_operation_that_onnx_lacks_is_named():
    assert "aten.linalg_qr" in refusal(lambda x: torch.linalg.qr(x)[0])


def test_a_loop_over_the_length_is_refused():
    assert "'frames' of its input 'mel' was fixed at 13" in refusal(
        lambda x: torch.cat([x[..., place : place + 1] * place for place in range(x.shape[-1])], -1)
    )


def test_a_generator_that_differs_from_torch_is_not_written():
    """A value that is drawn in NumPy is a constant of the graph, and another one at each call."""
    drawn = np.random.default_rng(0)
    assert "differs from torch by" in refusal(lambda x: x + drawn.uniform(1, 2))


def test_the_largest_difference_is_that_of_the_worst_sample():
    plain = PlainGenerator(Summed(lambda x: x), MEL, torch.clone)
    off = [np.float32(5e-5)]

    def run(arrays):
        made = arrays[0].sum(1, keepdims=True)
        made[..., -1] += off[0]
        return made

    assert 4e-5 < parity.compare(run, plain, "it").largest < 6e-5
    off[0] = np.float32(2e-4)
    with pytest.raises(NotExportable, match=r"differs from torch by 0\.0002, more than 0\.0001"):
        parity.compare(run, plain, "it")
    off[0] = np.float32(np.nan)
    with pytest.raises(NotExportable, match="differs from torch by nan"):
        parity.compare(run, plain, "it")


def test_what_magnifies_rounding_is_held_against_float64():
    """Torch's own float32 is as far off as the file here; a file that is farther off is refused all the same."""
    plain = PlainGenerator(Summed(lambda x: torch.sin(3000 * x)), MEL, torch.clone)

    def run(arrays, apart=0.0):
        return np.sin(3000 * arrays[0][:, ::-1].sum(1, keepdims=True, dtype=np.float32)).astype(np.float32) + apart

    found = parity.compare(run, plain, "it")
    assert found.largest > parity.TOLERANCE and found.rounding is not None and 1e-4 < found.rounding < 1e-1
    assert "it magnifies rounding: torch's own float32 is" in found.words(MEL)
    assert found.facts()["rounding_of_float32"] == found.rounding
    with pytest.raises(NotExportable, match="differs from torch by"):
        parity.compare(lambda arrays: run(arrays, 5 * found.rounding), plain, "it")


def test_what_it_declares_is_the_reason(vocoder, tmp_path):
    trained = gansemble.load(vocoder / "exp", device="cpu")
    trained.generator.cannot_be_exported = "it asks a server"
    with pytest.raises(NotExportable, match="cannot be exported: it asks a server"):
        gansemble.export(trained, tmp_path / "refused.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [SincLowpass, BandReplication])
def test_baselines_that_find_the_cutoff_say_so(name):
    with pytest.raises(NotExportable, match="it finds the cut-off of each recording, by SciPy; give it a cutoff"):
        demand_exportable(name(audio=AudioSpec()), "it")
    demand_exportable(name(audio=AudioSpec(), cutoff=2000.0), "it")


def test_batch_statistics_are_measured_before_the_file_is_written(tmp_path):
    """As before sampling: those of training are for other latent vectors."""
    trained = gansemble.load(experiments.make(tmp_path / "exp", experiments.GENERATOR), device="cpu")
    seen = []
    trained.generator.standing_passes = 2
    trained.generator.standing_statistics = lambda conditions: seen.extend(conditions)
    gansemble.export(trained, tmp_path / "file.pt", format="torchscript")
    assert [condition.latent.shape for condition in seen] == [(64, 8), (64, 8)]


# traps of the exporter that are mended here ----------------------------------


def test_sizes_are_divided_as_in_python():
    """-(-L // 4) rounds up; ONNX rounds towards zero."""
    run = exported(lambda x: torch.nn.functional.pad(x, (0, -(-x.shape[-1] // 4) * 4 - x.shape[-1])))
    assert run([np.zeros((1, 8, 9), np.float32)]).shape == (1, 1, 12)


def test_a_small_floor_is_no_zero():
    """torch's optimiser of graphs takes 1e-9 for nothing, and so the square root of silence for zero."""
    made = exported(lambda x: (x * 0 + 1e-9).sqrt())([np.ones((1, 8, 3), np.float32)])
    assert np.allclose(made, 1e-9**0.5, rtol=1e-3)


# representations ------------------------------------------------------------


class Halved:
    """A representation whose decoding can be exported."""

    domain = "halves"

    def decode(self, x: Tensor) -> Tensor:
        return x * 0.5


class Asking(Halved):
    """One whose decoding cannot."""

    domain = "questions"

    def decode(self, x: Tensor) -> Tensor:
        return x if float(x.mean()) > 0 else -x


@pytest.mark.parametrize(("representation", "output"), [(Halved(), "audio"), (Asking(), "items")])
def test_decoding_is_part_of_the_file_where_it_can_be(vocoder, tmp_path, representation, output):
    trained = dataclasses.replace(gansemble.load(vocoder / "exp", device="cpu"), representation=representation)
    made = gansemble.export(trained, tmp_path / "file.onnx")
    assert onnxruntime.InferenceSession(tmp_path / "file.onnx").get_outputs()[0].name == output
    assert made.facts["output"]["name"] == output
    if output == "items":
        assert made.facts["output"]["domain"] == "questions" and "float(x.mean())" in made.facts["output"]["why"]


class Louder(nn.Module):
    """One item, louder or softer by what is drawn."""

    def __init__(self, item: Tensor) -> None:
        super().__init__()
        self.register_buffer("item", item)

    def forward(self, condition: Condition) -> Tensor:
        by = 1 + 0.1 * torch.tanh(condition.latent.mean(1))
        return self.item * by.reshape(-1, *[1] * (self.item.dim() - 1))


@pytest.mark.slow
@pytest.mark.parametrize("entry", registry.entries("representation"), ids=lambda entry: entry.name)
def test_which_registered_representations_can_be_decoded_in_a_file(entry):
    """All but two, which find phases by steps that depend on the values, or draw them; their files make items."""
    subject = Subject(entry)
    made = subject.make()
    if hasattr(made, "fit") and not made.fitted:
        made.fit(iter([subject.audio(4)]))
    inputs = Inputs.of(GeneratorContract(reads=frozenset({"latent"}), latent=8), subject.spec)
    plain = PlainGenerator(Louder(made.encode(subject.audio(1))), inputs, made.decode).eval()
    if entry.name in ("cwt", "stft_image"):
        with pytest.raises(NotExportable):
            checked_model(plain, entry.name)
        return
    _, found = checked_model(plain, entry.name)
    assert found.largest <= parity.TOLERANCE and found.rounding is None


# bad input ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"opset": 11}, "--opset 11: is too old; the least that works is 18"),
        ({"opset": 99}, "--opset 99: is not known yet"),
        ({"format": "onyx"}, "did you mean 'onnx'"),
        ({"format": "torchscript", "opset": 18}, "goes with the format onnx"),
    ],
)
def test_bad_arguments_are_told(vocoder, tmp_path, given, told):
    with pytest.raises(GansembleError, match=told):
        gansemble.export(vocoder / "exp", tmp_path / "file", **given)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_kept(vocoder, tmp_path):
    (tmp_path / "file.onnx").write_text("mine")
    with pytest.raises(GansembleError, match="is there already; give another --output, or --overwrite"):
        gansemble.export(vocoder / "exp", tmp_path / "file.onnx")
    assert (tmp_path / "file.onnx").read_text() == "mine"


def test_a_newer_opset_is_written(vocoder, tmp_path):
    gansemble.export(vocoder / "exp", tmp_path / "file.onnx", opset=graph.NEWEST_OPSET)
    versions = {each.version for each in onnx.load(tmp_path / "file.onnx").opset_import if not each.domain}
    assert versions == {graph.NEWEST_OPSET}


# third parties --------------------------------------------------------------


def test_the_generator_of_a_new_plugin_is_exported_unchanged():
    """``gansemble plugins new`` writes it; nothing in it knows of exporting."""
    from gansemble.plugins.registry import Entry
    from gansemble.testing.conformance import hold
    from gansemble.testing.export import can_be_exported

    hold(
        Entry("generator", "acme", "gansemble.scaffold.parts.generator:AcmeGenerator", "", "acme", {}), can_be_exported
    )
