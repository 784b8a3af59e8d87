"""A bundle that is not, file by file, what it says is refused in one line, and nothing of it is executed."""

from __future__ import annotations

import json
import os
import pickle
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

import gansemble
from gansemble.bundle import sealed
from gansemble.errors import BundleError, GansembleError


def checkpoint(folder):
    return next((folder / "checkpoints").iterdir())


def edit(folder, **changes):
    facts = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**facts, **changes}))


def refusal(folder, kind=BundleError):
    """What is said when it is loaded, in one line that names the folder or a file below it."""
    with pytest.raises(kind) as caught:
        gansemble.load(folder, device="cpu")
    said = str(caught.value)
    assert "\n" not in said and str(folder) in said, said
    return said


class Trap:
    """A pickle of it makes a folder when it is read."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place),)


def test_a_sound_bundle_is_verified_and_told(made):
    found = sealed.verify(made)
    sealed.demand_weights(found)
    assert found.facts["step"] == 4 and found.facts["holds"][0] == "average of the generator"
    assert found.bytes == sum(
        path.stat().st_size for path in made.rglob("*") if path.is_file() and path.name != "bundle.json"
    )
    assert not [path for path in made.rglob("*") if path.suffix in (".pt", ".pkl", ".bin", ".wav")]


def test_a_byte_changed_in_any_file_is_noticed(copied):
    files = sorted(path for path in copied.rglob("*") if path.is_file() and path.name != "bundle.json")
    assert len(files) >= 15
    for path in files:
        whole = path.read_bytes()
        place = len(whole) // 2
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(BundleError, match=re.escape(f"{path}: altered: expected the sha256 ")):
            sealed.verify(copied)
        path.write_bytes(whole)
    sealed.verify(copied)


def test_a_cut_file_is_told_with_both_sizes(copied):
    path = checkpoint(copied) / "generator.safetensors"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])
    assert f"generator.safetensors: expected {size:,} bytes, got {size - 1:,}: cut or altered" in refusal(copied)


def test_a_file_that_is_gone_is_named(copied):
    (copied / "fidelity.json").unlink()
    assert "fidelity.json: missing, though bundle.json lists it" in refusal(copied)


@pytest.mark.parametrize(
    "name", ["notes.txt", "checkpoints/step-00000009/generator.safetensors", "samples/05.flac", ".hidden"]
)
def test_a_file_too_many_is_named(copied, name):
    (copied / name).parent.mkdir(exist_ok=True)
    (copied / name).write_text("more")
    assert f"{name}: bundle.json does not list this file; nothing else may lie in a bundle" in refusal(copied)


@pytest.mark.parametrize(
    "name", [".gitattributes", ".DS_Store", "samples/.DS_Store", ".cache/huggingface/x.json", ".git/config"]
)
def test_what_hubs_and_systems_put_there_is_passed_over(copied, name):
    (copied / name).parent.mkdir(exist_ok=True, parents=True)
    (copied / name).write_text("theirs")
    sealed.verify(copied)


@pytest.mark.parametrize("name", ["model.pkl", "pytorch_model.bin", "checkpoints/step-00000004/state.pt"])
def test_a_pickle_is_refused_unopened_whether_listed_or_not(copied, reseal, tmp_path, name):
    (copied / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    assert f"{name}: bundle.json does not list this file (it may hold programs and was not opened)" in refusal(copied)
    reseal(copied)
    assert f"lists {name}, and files of the kind" in refusal(copied)
    assert not (tmp_path / "sprung").exists()


def test_a_pickle_that_is_called_safetensors_is_refused_unopened(copied, reseal, tmp_path):
    for file in ("generator.safetensors", "ema.safetensors"):
        (checkpoint(copied) / file).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    reseal(copied)
    with pytest.raises(BundleError, match=r"ema\.safetensors: not readable as safetensors"):
        sealed.demand_weights(sealed.verify(copied))
    assert "not readable as weights" in refusal(copied, GansembleError)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("version", [2, 99])
def test_a_newer_format_asks_for_a_newer_gansemble(copied, version):
    edit(copied, version=version, files="of a kind that is not known yet")
    assert f"format version {version}, and this gansemble reads at most 1; install a newer gansemble" in refusal(copied)


def test_another_kind_of_file_is_no_bundle(copied):
    edit(copied, format="onnx")
    assert "format is 'onnx', expected 'gansemble-bundle'" in refusal(copied)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": "gansemble-bundle"}', '{"format": "gansemble-bundle", "version": 1}']
)
def test_a_damaged_list_is_refused(copied, text):
    (copied / "bundle.json").write_text(text)
    assert "bundle.json: damaged" in refusal(copied)


@pytest.mark.parametrize(
    "name",
    [
        "../outside.json",
        "/etc/passwd",
        "checkpoints/../../x.json",
        "checkpoints/step-1/../../../x.json",
        "samples//etc.flac",
        "a\x00b",
        "C:\\x.json",
    ],
)
def test_a_path_that_leaves_the_folder_is_refused(copied, name):
    facts = json.loads((copied / "bundle.json").read_text())
    edit(copied, files={**facts["files"], name: {"bytes": 1, "sha256": "0" * 64}})
    assert "is no name of a bundle's file" in refusal(copied)


def test_links_are_refused_whatever_they_lead_to(copied, tmp_path):
    path = checkpoint(copied) / "ema.safetensors"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert "ema.safetensors: is a link or a device" in refusal(copied)
    path.unlink()
    (tmp_path / "elsewhere").rename(path)
    (copied / "more").symlink_to(tmp_path)
    assert "more: is a link or a device" in refusal(copied)
    (copied / "more").unlink()
    (copied / "bundle.json").rename(tmp_path / "list")
    (copied / "bundle.json").symlink_to(tmp_path / "list")
    assert "bundle.json: is a link" in refusal(copied)


def test_weights_with_nan_are_refused_when_made_pushed_pulled_or_loaded(copied, reseal):
    for file in ("generator", "ema"):
        path = checkpoint(copied) / f"{file}.safetensors"
        weights = load_file(path)
        weights["head.bias"][0] = torch.nan
        save_file(weights, path)
    reseal(copied)
    with pytest.raises(BundleError, match=r"ema\.safetensors: 1 tensors hold NaN \(head.bias\)"):
        sealed.demand_weights(sealed.verify(copied))
    assert "hold NaN or Inf: head.bias" in refusal(copied, GansembleError)


def test_weights_of_another_recipe_are_refused(copied, reseal):
    path = checkpoint(copied) / "recipe.yaml"
    path.write_text(path.read_text().replace("dim: 12", "dim: 14"))
    reseal(copied)
    assert "these are not this network's weights: " in refusal(copied, GansembleError)


def test_a_recipe_of_an_unknown_part_is_refused(copied, reseal):
    path = checkpoint(copied) / "recipe.yaml"
    path.write_text(path.read_text().replace("use: vocos", "use: nosuch"))
    reseal(copied)
    with pytest.raises(GansembleError, match="nosuch"):
        gansemble.load(copied, device="cpu")


@pytest.mark.parametrize(("key", "value"), [("step", 5), ("audio_digest", "0" * 16)])
def test_what_it_says_of_itself_must_be_its_checkpoints(copied, key, value):
    edit(copied, **{key: value})
    assert f"manifest.json: {key} is" in refusal(copied)


def test_a_checkpoint_that_is_not_listed_is_refused(copied):
    edit(copied, checkpoint="step-00000005")
    assert "damaged (does not list checkpoints/step-00000005/manifest.json)" in refusal(copied)


def test_other_state_than_its_kind_is_refused(copied, reseal):
    (checkpoint(copied) / "state.json").write_text('{"parts": 3}')
    (checkpoint(copied) / "state.safetensors").unlink()
    reseal(copied)
    assert "state.json: holds no parts by name" in refusal(copied, GansembleError)
