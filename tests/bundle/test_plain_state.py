"""Nested state as JSON and safetensors, read back bitwise the same."""

from __future__ import annotations

import json
import math
import struct

import pytest
import torch

from gansemble.bundle import plain
from gansemble.errors import BundleError


def there_and_back(value, folder):
    plain.write(folder, "state", value, "state.pt")
    return plain.read(folder, "state", "take another")


def bits(value):
    """A value with every tensor as its bytes and every number as its bits, and all types."""
    if isinstance(value, torch.Tensor):
        return (
            "tensor",
            value.dtype,
            tuple(value.shape),
            value.contiguous().view(-1).view(torch.uint8).tolist() if value.numel() else [],
        )
    if isinstance(value, dict):
        return {(type(key), key): bits(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return (type(value), [bits(item) for item in value])
    return (type(value), struct.pack("d", value) if isinstance(value, float) else value)


def test_every_kind_of_value_comes_back_bitwise(tmp_path):
    draws = torch.Generator().manual_seed(1)
    tensors = [torch.randn(3, 4, generator=draws).to(dtype) for dtype in plain.DTYPES]
    value = {
        "tensors": tensors,
        "odd": [
            torch.tensor(7.0),
            torch.zeros(0, 3),
            torch.tensor([math.nan, -math.inf, -0.0]),
            torch.randn(4, 6).t()[::2],
        ],
        "numbers": [0.1, -0.0, 5e-324, 1.7976931348623157e308, math.nan, math.inf, -math.inf, 2**70, True, None],
        "tuple": (1, (2.0, ["x"]), ()),
        3: {"of whole numbers": 1, "": {}},
        True: "a key that is a truth value",
        "$tensor": "a text that looks like a mark",
        "a.b": {"c": torch.ones(1)},
        "a": {"b.c": torch.zeros(1)},
    }
    again = there_and_back(value, tmp_path)
    assert bits(again) == bits(value)
    assert list(again) == list(value), "and in the same order"


def test_an_optimisers_state_comes_back_and_steps_alike(tmp_path):
    layer, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    other.load_state_dict(layer.state_dict())
    ours, theirs = (torch.optim.AdamW(each.parameters(), 1e-2, betas=(0.8, 0.99)) for each in (layer, other))
    layer(torch.ones(1, 3)).sum().backward()
    ours.step()
    other.load_state_dict(layer.state_dict())
    theirs.load_state_dict(there_and_back(ours.state_dict(), tmp_path))
    for each, network in ((ours, layer), (theirs, other)):
        each.zero_grad()
        network(torch.ones(1, 3)).square().sum().backward()
        each.step()
    assert torch.equal(layer.weight, other.weight) and torch.equal(layer.bias, other.bias)


def test_what_has_no_tensors_has_no_second_file(tmp_path):
    assert there_and_back({"step": 3}, tmp_path) == {"step": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": [object()]}, "a.0 is a object"),
        ({"a": {(1, 2): 3}}, "a has the key (1, 2)"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, "a is a tensor of complex64"),
        ({"a": torch.zeros(2, 2).to_sparse()}, "a is a tensor of float32, sparse_coo"),
        ({"a": {1, 2}}, "a is a set"),
    ],
)
def test_what_cannot_be_held_is_named_with_its_place(tmp_path, value, words):
    with pytest.raises(BundleError, match=r"state\.pt: ") as caught:
        plain.write(tmp_path, "state", value, "state.pt")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        '{"$run": "os.system"}',
        '{"$tensor": "nosuch"}',
        '{"$tensor": "a", "more": 1}',
        '{"$tuple": 3}',
        '{"$float": "1.0"}',
        '{"$entries": [[[1], 2]]}',
        '{"$entries": [[1]]}',
        "[NaN]",
        "[1e999]",
        '["cut',
        "[" * 100_000,
        "",
    ],
)
def test_json_that_stands_for_nothing_is_refused(tmp_path, text):
    plain.write(tmp_path, "state", {"a": torch.ones(1)}, "state.pt")
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(BundleError, match=r"state\.json: damaged") as caught:
        plain.read(tmp_path, "state", "take another")
    assert str(caught.value).endswith("take another") and "\n" not in str(caught.value)


def test_a_tensor_is_taken_once_and_none_is_left_over(tmp_path):
    plain.write(tmp_path, "state", {"a": torch.ones(1), "b": torch.zeros(1)}, "state.pt")
    tree = json.loads((tmp_path / "state.json").read_text())
    (tmp_path / "state.json").write_text(json.dumps({"a": tree["a"]}))
    with pytest.raises(BundleError, match=r"state\.safetensors: holds b, which state\.json does not name"):
        plain.read(tmp_path, "state", "take another")
    (tmp_path / "state.json").write_text(json.dumps({"a": tree["a"], "b": tree["a"]}))
    with pytest.raises(BundleError, match="stands for nothing, or for a tensor that is not there"):
        plain.read(tmp_path, "state", "take another")


def test_a_pickle_under_the_name_of_tensors_is_not_opened(tmp_path):
    plain.write(tmp_path, "state", {"a": torch.ones(1)}, "state.pt")
    torch.save({"a": torch.ones(1)}, tmp_path / "state.safetensors")
    with pytest.raises(BundleError, match=r"state\.safetensors: not readable as tensors"):
        plain.read(tmp_path, "state", "take another")
