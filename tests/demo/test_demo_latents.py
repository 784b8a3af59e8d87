"""Clips of latent vectors that are drawn, mixed, moved and truncated; and the directions that they are moved along."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from gansemble.demo import page
from gansemble.demo.latents import Wish, wish_of
from gansemble.demo.recordings import Refused
from gansemble.inference.directions import directions
from gansemble.inference.generation import between
from gansemble.parts.sampling import Truncation

# clips ------------------------------------------------------------------


@pytest.fixture
def made(demos):
    """The samples of the clips of a wish."""

    def run(label=1, **wish):
        found = demos["generation"].work.made(wish_of({"draw": 0} | wish), label, "", lambda share: None)
        return [each.audio for each in found.versions]

    return run


@pytest.mark.parametrize("draw", [0, 3])
def test_a_draw_is_that_clip_of_the_sample_command(demos, made, draw):
    wanted = demos["generation"].trained.sampler(0).one(draw, 1).audio
    np.testing.assert_array_equal(made(draw=draw)[0], wanted)
    np.testing.assert_array_equal(made(draw=draw, moves=[0.0] * 6, truncation=None)[0], wanted)
    assert not np.array_equal(made(draw=draw, label=2)[0], wanted)


def test_the_way_leads_from_one_draw_to_the_other_in_equal_steps(made):
    way = made(draw=2, towards=5, way=True)
    assert len(way) == 5
    np.testing.assert_array_equal(way[0], made(draw=2)[0])
    np.testing.assert_allclose(way[4], made(draw=5)[0], atol=1e-6)
    for place, share in enumerate((25, 50, 75), 1):
        np.testing.assert_array_equal(way[place], made(draw=2, towards=5, share=share)[0])


def test_a_share_of_the_way_is_on_the_line_of_a_uniform_law(demos):
    work = demos["generation"].work
    first, last = work.sampler.latent(2), work.sampler.latent(5)
    torch.testing.assert_close(work.vector(wish_of({"draw": 2, "towards": 5}), 30), 0.7 * first + 0.3 * last)
    torch.testing.assert_close(work.vector(wish_of({"draw": 2}), 30), first)


def test_on_the_great_circle_of_a_normal_law(demos):
    class Normal:
        latent_law = "normal"

        def latent(self, index):
            return torch.randn(100, generator=torch.Generator().manual_seed(index))

    sampler = Normal()
    sampler.condition_builder = sampler
    work = replace(demos["generation"].work, sampler=sampler)
    wanted = between(sampler.latent(2), sampler.latent(5), 101, "normal")[30]
    torch.testing.assert_close(work.vector(wish_of({"draw": 2, "towards": 5}), 30), wanted)
    moved = work.vector(wish_of({"draw": 2, "moves": [0, 4.0, -1.5]}), 0) - sampler.latent(2)
    torch.testing.assert_close(moved, 4 * work.directions.vectors[1] - 1.5 * work.directions.vectors[2])


def test_a_move_is_in_standard_deviations_and_stays_within_a_uniform_law(demos):
    work = demos["generation"].work
    start, direction = work.sampler.latent(0), work.directions.vectors[1]
    moved = work.vector(wish_of({"draw": 0, "moves": [0.0, 0.1]}), 0)
    inside = (start + 0.1 / math.sqrt(3) * direction).clamp(-1, 1)
    torch.testing.assert_close(moved, inside)
    far = work.vector(wish_of({"draw": 0, "moves": [4.0] * 6}), 0)
    assert float(far.abs().max()) <= 1 and not torch.equal(far, start)


def test_latent_vectors_are_truncated_as_by_the_sample_command(demos, made):
    wanted = demos["generation"].trained.sampler(0).one(0, 1, truncation=Truncation(0.5)).audio
    np.testing.assert_array_equal(made(truncation=0.5)[0], wanted)


def test_a_reply_tells_what_its_clip_was_made_of(demos):
    wish = {"draw": 4, "towards": 1, "share": 25, "moves": [0, -1.5], "truncation": 0.5, "label": 1}
    reply = demos["generation"].making(json.dumps(wish).encode())(lambda share: None)
    assert reply["title"] == "25 % of the way from draw 4 to draw 1, <i>dog</i>, direction 2 -1.5, truncation 0.5"
    assert "&lt;i&gt;dog&lt;/i&gt;" in reply["html"] and "<i>dog" not in reply["html"] and len(reply["sounds"]) == 1
    reply = demos["generation"].making(b'{"draw": 0, "way": true, "towards": 9}')(lambda share: None)
    assert reply["title"] == "from draw 0 to draw 9, cat" and len(reply["sounds"]) == 5


def test_progress_is_told_between_clips(demos):
    told = []
    demos["generation"].making(b'{"draw": 0, "way": true}')(told.append)
    assert told == [0, 0.2, 0.4, 0.6, 0.8, 1]


def test_clips_that_are_pictures_are_shown_and_not_played(demos):
    """A page of them has no player, and loads without one."""
    seen = []

    def look(audio):
        seen.append(audio)
        return np.zeros((4, 4, 3), np.uint8)

    demo = replace(demos["generation"], look=look)
    reply = demo.making(b'{"draw": 0, "way": true}')(lambda share: None)
    assert len(seen) == 5 and seen[0].ndim == 1 and reply["sounds"] == []
    assert reply["html"].count("<figure class=look>") == 5 and "data-clip" not in reply["html"]
    files = page.files(demo, 1000, lambda text: None)
    assert b"id=listening" not in files[""].content and b"class Player" not in files["page.js"].content
    files = page.files(demos["generation"], 1000, lambda text: None)
    assert b"id=listening" in files[""].content and b"class Player" in files["page.js"].content


class Silly(nn.Module):
    def forward(self, condition):
        return torch.full((1, 1, 64), float("nan"))


def test_what_is_no_sound_is_refused(demos):
    work = demos["generation"].work
    broken = replace(work, sampler=replace(work.sampler, generator=Silly()))
    with pytest.raises(Refused, match="NaN or Inf of this latent vector; move the sliders back"):
        broken.made(Wish(draw=0), 1, "", lambda share: None)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ([], "no wish for a clip"),
        ({}, "no wish for a clip"),
        ({"draw": "0"}, "no wish for a clip"),
        ({"draw": 0, "moves": 3}, "no wish for a clip"),
        ({"draw": 0, "moves": ["a"]}, "no wish for a clip"),
        ({"draw": -1}, "draw: expected a number from 0 to 2.14748e.09, got -1"),
        ({"draw": 2**40}, "draw: expected a number"),
        ({"draw": 0, "towards": -3}, "towards: expected"),
        ({"draw": 0, "share": 101}, "share: expected a number from 0 to 100, got 101"),
        ({"draw": 0, "truncation": 0.0}, "truncation: expected a number from 0.05 to 2, got 0"),
        ({"draw": 0, "truncation": float("nan")}, "truncation: expected"),
        ({"draw": 0, "moves": [0.0] * 7}, "moves: expected at most 6 numbers from -4 to 4"),
        ({"draw": 0, "moves": [4.1]}, "moves: expected at most 6"),
        ({"draw": 0, "moves": [float("nan")]}, "moves: expected at most 6"),
        ({"draw": 0, "label": 10}, "label: expected a number from 0 to 9, got '10'"),
        ({"draw": 0, "label": -1}, "label: expected a number from 0 to 9"),
    ],
)
def test_a_wish_beyond_its_bounds_is_refused(demos, wish, said):
    with pytest.raises(Refused, match=said):
        demos["generation"].making(json.dumps(wish).encode())


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 5000])
def test_a_wish_that_is_no_json_is_refused(demos, body):
    with pytest.raises(Refused, match="load the page again"):
        demos["generation"].making(body)


# directions -------------------------------------------------------------


class Layered(nn.Module):
    """An embedding of the label, then a linear layer of the latent vector, then what a test chooses."""

    def __init__(self, weight: torch.Tensor, rest: nn.Module) -> None:
        super().__init__()
        self.label = nn.Embedding(3, 4)
        self.first = nn.Linear(weight.shape[1], weight.shape[0])
        self.first.weight.data = weight
        self.rest, self.calls = rest, 0

    def forward(self, condition):
        self.calls += 1
        if condition.label is not None:
            self.label(condition.label)
        return self.rest(torch.tanh(self.first(condition.latent)))


@pytest.mark.parametrize("label", [None, 2])
def test_the_first_layers_directions_are_the_right_singular_vectors_of_its_weights(label):
    torch.manual_seed(0)
    weight = (
        torch.linalg.qr(torch.randn(30, 8))[0]
        @ torch.diag(torch.arange(8.0, 0, -1))
        @ torch.linalg.qr(torch.randn(8, 8))[0]
    )
    wanted = torch.linalg.svd(weight).Vh
    found = directions(Layered(weight, nn.Linear(30, 5)), 8, 3, label)
    assert found.principal and found.vectors.shape == (3, 8)
    torch.testing.assert_close((found.vectors * wanted[:3]).sum(1).abs(), torch.ones(3), atol=1e-4, rtol=0)
    assert (found.vectors.gather(1, found.vectors.abs().argmax(1, keepdim=True)) > 0).all()


def test_the_rest_of_the_network_runs_once_only():
    class Counted(nn.Module):
        runs = 0

        def forward(self, x):
            self.runs += 1
            return x

    rest = Counted()
    directions(Layered(torch.eye(8), rest), 8, 3)
    assert rest.runs == 1


class Unlayered(nn.Module):
    def forward(self, condition):
        return condition.latent * 2


def test_directions_are_drawn_where_no_layer_reads_the_vector():
    found = directions(Unlayered(), 8, 3, seed=1)
    assert not found.principal
    torch.testing.assert_close(found.vectors @ found.vectors.T, torch.eye(3), atol=1e-6, rtol=0)
    assert torch.equal(found.vectors, directions(Unlayered(), 8, 3, seed=1).vectors)
    assert not torch.equal(found.vectors, directions(Unlayered(), 8, 3, seed=2).vectors)


def test_there_are_no_more_directions_than_numbers():
    assert directions(Layered(torch.eye(2), nn.Identity()), 2, 6).vectors.shape == (2, 2)
    assert directions(Unlayered(), 2, 6).vectors.shape == (2, 2)


def test_a_network_has_no_hooks_afterwards(demos):
    network = Layered(torch.eye(4), nn.Linear(4, 1))
    directions(network, 4, 2)
    assert not any(module._forward_hooks for module in network.modules())
