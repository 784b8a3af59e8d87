"""What a demonstration makes of recordings: that of the generator's other uses, whatever the length and the channels."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from demo_parts import RATE, sound, tone

from gansemble.audio.features import log_mel
from gansemble.demo.examples import Examples
from gansemble.demo.recordings import Recording, Refused
from gansemble.demo.restoring import Restoring
from gansemble.errors import GansembleError


def heard(reply):
    """The sounds of a reply [C, T], in their order."""
    found = []
    for each in reply["sounds"]:
        assert each["type"] == "audio/wav"
        audio, rate = soundfile.read(io.BytesIO(base64.b64decode(each["text"])), dtype="float32", always_2d=True)
        assert rate == RATE
        found.append(audio.T)
    return found


def near_16_bits(made, wanted):
    assert made.shape == wanted.shape
    np.testing.assert_allclose(made, np.clip(wanted, -1, 1), atol=2 / 2**15)


@pytest.fixture
def ask(demos):
    """The reply to a recording."""

    def run(task, audio, rate=RATE, told=lambda share: None, **wanted):
        return demos[task].restoring(sound(audio, rate), {"name": "a.wav", **wanted})(told)

    return run


@pytest.mark.parametrize("length", [1600, 1601, 16_000, 31_999])
def test_a_vocoder_imitates_the_recording_as_it_does_when_called(demos, ask, length):
    audio = tone(2.0)[:length]
    before, made = heard(ask("vocoding", audio))
    near_16_bits(before[0], audio)
    trained = demos["vocoding"].trained
    padded = np.pad(audio, (0, -length % 64))
    wanted = trained(log_mel(torch.from_numpy(padded)[None, None], trained.spec))[0, :, :length].numpy()
    near_16_bits(made, wanted)


def test_what_is_shorter_than_a_frame_is_imitated_with_silence_behind_it(demos):
    """At low rates the shortest recording that is taken may have fewer samples than a frame."""
    made = demos["vocoding"].work.made(Recording("a", tone(2.0)[None, :50]), None, lambda share: None, None)
    assert [each.audio.shape for each in made.versions] == [(1, 50), (1, 50)]


def test_an_enhancer_restores_each_channel_as_it_does_when_called(demos, ask):
    audio = np.stack([tone(0.7), tone(0.7, 3000.0)])
    reply = ask("enhancement", audio)
    before, made = heard(reply)
    near_16_bits(before, audio)
    near_16_bits(made, demos["enhancement"].trained(torch.from_numpy(audio)[None])[0].numpy())
    assert "Each of its 2 channels was restored by itself; pictures show their mean." in reply["html"]
    assert reply["html"].count("<figure") == 2 and ">recording<" in reply["html"] and ">restored<" in reply["html"]


def test_a_vocoder_makes_one_channel_and_says_of_which(demos, ask):
    audio = np.stack([tone(0.5), -0.5 * tone(0.5)])
    reply = ask("vocoding", audio)
    near_16_bits(heard(reply)[0][0], audio.mean(0))
    assert "Its 2 channels were averaged: this vocoder makes one." in reply["html"]
    demo = demos["vocoding"]
    recipe = replace(demo.trained.recipe, data=replace(demo.trained.recipe.data, channels="first"))
    first = replace(demo.work, trained=replace(demo.trained, recipe=recipe))
    made = first.made(Recording("a", audio), None, lambda share: None, None)
    np.testing.assert_array_equal(made.versions[0].audio, audio[:1])
    assert "Of its 2 channels the first was taken, as in training." in made.notes


def test_a_recording_is_degraded_as_in_training_when_that_is_asked_for(demos, ask):
    """A tone of 3 kHz does not pass a low-pass filter at 2 kHz; the restored version is made of what is left."""
    audio = tone(0.7, 3000.0)
    before, degraded, made = heard(ask("enhancement", audio, degrade="1"))
    near_16_bits(before[0], audio)
    assert np.abs(degraded[:, 2000:-2000]).max() < 0.03
    trained = demos["enhancement"].trained
    wanted = trained(torch.from_numpy(demos["enhancement"].work.degraded(Recording("a", audio[None])))[None])[0].numpy()
    near_16_bits(made, wanted)
    for given in ("", "0", "true"):
        assert len(heard(ask("enhancement", audio, degrade=given))) == 2
    assert len(heard(ask("vocoding", audio, degrade="1"))) == 2


def test_a_name_with_markup_is_a_name(ask):
    reply = ask("vocoding", tone(0.5), name='<img src=x onerror=alert(1)>".wav')
    assert "<img src=x" not in reply["html"] and "&lt;img src=x onerror=alert(1)&gt;&quot;.wav" in reply["html"]


def test_a_degradation_that_fails_is_told(demos):
    work = demos["enhancement"].work

    def fail(clip, rng):
        raise ValueError("too loud")

    broken = Restoring(work.trained, replace(work.degrader, degradation=fail))
    with pytest.raises(Refused, match=r"a: cannot be degraded \(.*too loud"):
        broken.degraded(Recording("a", tone(0.5)[None]))


def test_progress_is_told_between_chunks_and_may_end_the_work(ask):
    told = []
    ask("vocoding", tone(9.0), told=told.append)  # of which 2 s are taken
    assert told[0] == 0 and told[-1] == 1 and told == sorted(told)

    class Enough(Exception):
        pass

    def end(share):
        raise Enough

    with pytest.raises(Enough):
        ask("vocoding", tone(1.0), told=end)


class Odd(torch.nn.Module):
    """Makes twice full scale, or NaN, of a degraded recording."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, condition):
        return condition.signal("degraded") * 0 + self.value


def test_what_no_file_can_hold_is_told_or_refused(demos):
    work = demos["enhancement"].work
    made = partial(Recording, "a", tone(0.5)[None])
    loud = replace(work, trained=replace(work.trained, generator=Odd(2.0)))
    notes = loud.made(made(), None, lambda share: None, None).notes
    assert "8,000 samples of the result lie beyond full scale, and are clipped." in notes
    with pytest.raises(Refused, match="a: the generator made NaN or Inf of it"):
        replace(work, trained=replace(work.trained, generator=Odd(float("nan")))).made(
            made(), None, lambda share: None, None
        )


def test_what_is_not_computed_of_audio_is_refused_at_once(demos):
    trained = demos["vocoding"].trained
    names = ("audio", "task", "single", "many", "parts", "supplied", "given", "data")
    facts = {name: getattr(trained.recipe, name) for name in names}
    contract = replace(trained.recipe.generator_contract, reads=frozenset({"codes"}))
    recipe = SimpleNamespace(**facts, generator_contract=contract)
    with pytest.raises(GansembleError, match="reads codes, which is not computed of a recording"):
        Restoring.of(replace(trained, recipe=recipe))


# held-out clips ---------------------------------------------------------


@pytest.fixture
def offered(demos, packed):
    """A demonstration with two held-out clips."""
    return lambda task, **more: replace(demos[task], examples=Examples(packed, [0, 1]), **more)


def test_a_held_out_clip_is_given_as_a_recording_and_cut_likewise(offered, packed):
    demo = offered("vocoding")
    reply = demo.restoring(b"", {"example": "0"})(lambda share: None)
    near_16_bits(heard(reply)[0][0], packed.clips[0])
    assert "clip &lt;0&gt;" in reply["html"]
    reply = demo.restoring(b"", {"example": "1"})(lambda share: None)
    near_16_bits(heard(reply)[0][0], packed.clips[1][: 2 * RATE])
    assert "Only its first 2 s of 3.0 s were taken." in reply["html"]


def test_a_held_out_clip_is_degraded_by_its_own_draws_or_has_a_recording(offered, packed, degrader):
    demo = offered("enhancement")
    demo = replace(demo, work=replace(demo.work, degrader=degrader.made))
    _, degraded, _ = heard(demo.restoring(b"", {"example": "0", "degrade": "1"})(lambda share: None))
    near_16_bits(degraded[0], packed.clips[0] / 2)
    assert degrader.lengths == [8000]
    paired = replace(demo, work=replace(demo.work, degrader=replace(degrader.made, degradation=None)))
    packed.entries[0].partner = 0
    _, degraded, _ = heard(paired.restoring(b"", {"example": "0", "degrade": "1"})(lambda share: None))
    near_16_bits(degraded[0], packed.clips[0])  # this Packed reads the clip itself as its partner
    assert paired.degrades_examples and not paired.work.degrades
    found = heard(paired.restoring(sound(tone(0.5)), {"name": "a", "degrade": "1"})(lambda share: None))
    assert len(found) == 2  # of other recordings there is no degraded one


@pytest.mark.parametrize("given", ["2", "-1", "x", "", "1e3", "99999999999"])
def test_a_clip_that_is_not_offered_is_refused(offered, given):
    with pytest.raises(Refused, match=r"example: expected a number from 0 to 1, got"):
        offered("vocoding").restoring(b"", {"example": given})


def test_without_the_recipes_data_it_is_said_why_there_are_none(demos):
    examples = demos["vocoding"].examples
    assert (examples.packed, examples.names) == (None, []) and "No held-out clips are offered" in examples.why_not


def test_what_another_task_is_asked_is_refused(demos):
    with pytest.raises(Refused, match="this generator reads no recording"):
        demos["generation"].restoring(b"", {})
    with pytest.raises(Refused, match="makes something of recordings only"):
        demos["vocoding"].making(b"{}")
