"""What every feature must do."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gansemble.contract import FeatureContract
from gansemble.testing.subject import Subject, demand, demand_no_device_of_its_own, on_meta


def _made(subject: Subject, audio: Tensor) -> Tensor:
    with torch.no_grad():
        return subject.make()(audio)


def gives_a_frame_for_each_hop(subject: Subject) -> None:
    """float32 [B, C, L], finite, with a frame for each hop of samples and as many channels as its contract says."""
    channels = subject.stated(FeatureContract).channels
    demand(channels is not None, "its contract must say how many channels it gives: FeatureContract(channels=1)")
    hop = subject.spec.hop
    shortest = -(-subject.spec.n_fft // hop)
    for frames in (subject.segment // hop, 2 * shortest + 1, shortest):
        made = _made(subject, subject.audio(2, frames * hop))
        demand(isinstance(made, Tensor), f"expected a tensor, got {type(made).__name__}")
        wanted = [2, channels, frames]
        demand(list(made.shape) == wanted, f"of {frames * hop} samples expected {wanted}, got {list(made.shape)}")
        demand(made.dtype == torch.float32, f"expected float32, got {made.dtype}")
        demand(bool(torch.isfinite(made).all()), f"of {frames * hop} samples it makes what is not finite")


def feature_takes_silence_and_full_scale(subject: Subject) -> None:
    """Silence and full scale give finite numbers."""
    for name, audio in (
        ("silence", torch.zeros(1, 1, subject.segment)),
        ("full scale", torch.ones(1, 1, subject.segment)),
    ):
        demand(bool(torch.isfinite(_made(subject, audio)).all()), f"of {name} it makes what is not finite")


def hears_items_apart(subject: Subject) -> None:
    """Of an item it makes what it makes of it alone, and the same again; it draws nothing."""
    audio = subject.audio(3)
    part, before = subject.make(), torch.get_rng_state()
    with torch.no_grad():
        whole, again = part(audio), part(audio)
        alone = torch.cat([part(audio[place : place + 1]) for place in range(3)])
    demand(torch.equal(whole, again), "two calls differ; draw nothing, and keep nothing from call to call")
    demand(
        torch.equal(before, torch.get_rng_state()), "it draws from torch's generator, and training would draw otherwise"
    )
    close = torch.allclose(whole, alone, rtol=1e-3, atol=1e-4)
    demand(close, "of an item it makes something else in a batch than alone; keep dimension 0 out of means and norms")


def follows_the_sound(subject: Subject) -> None:
    """Not all sounds have the same feature, and a sound that comes a hop later has it a frame later.

    The sounds are two tones that fade in, noise and silence.
    """
    hop, frames = subject.spec.hop, subject.segment // subject.spec.hop
    audio = subject.audio(2, (frames + 1) * hop)
    fading = audio * torch.linspace(0.05, 1, audio.shape[-1])
    made = _made(subject, fading[..., : frames * hop])
    noise = 0.1 * torch.randn(1, 1, frames * hop, generator=torch.Generator().manual_seed(7))
    other = [_made(subject, sound)[0] for sound in (noise, torch.zeros_like(noise))]
    same = all(torch.allclose(made[0], each) for each in (made[1], *other))
    demand(not same, "tones, noise and silence all have the same feature")
    later = _made(subject, fading[..., hop:])
    # Edges are left out, where a frame reaches beyond the sound.
    edge = -(-subject.spec.n_fft // hop) + 1
    if frames <= 2 * edge + 2:
        return
    one, moved = made[..., edge + 1 : -edge], later[..., edge : -edge - 1]
    scale = float(one.abs().max().clamp_min(1e-6))
    error = float((one - moved).abs().median()) / scale
    demand(
        error < 0.05,
        f"of a sound that begins a hop of {hop} samples later, its frames are not the same one frame later (they differ by "
        f"{error:.2g} of the largest); make a frame for each audio.hop",
    )


def feature_leaves_its_input_alone(subject: Subject) -> None:
    """What it is given is not written to."""
    audio = subject.audio()
    kept = audio.clone()
    _made(subject, audio)
    demand(torch.equal(audio, kept), "it writes into its input; use x = x + y, not x += y")


def feature_works_on_other_devices(subject: Subject) -> None:
    """What it makes by itself is made where the audio is."""
    part = on_meta(subject.make())
    demand_no_device_of_its_own(lambda: part(subject.audio().to("meta")))


def feature_has_nothing_to_learn(subject: Subject) -> None:
    """It has no parameters: no optimiser would teach them, and no checkpoint keep them."""
    part = subject.make()
    names = [name for name, _ in part.named_parameters()] if isinstance(part, nn.Module) else []
    demand(not names, f"it has parameters that nothing teaches: {', '.join(names[:3])}; make them buffers")


FEATURE = (
    gives_a_frame_for_each_hop,
    feature_takes_silence_and_full_scale,
    hears_items_apart,
    follows_the_sound,
    feature_leaves_its_input_alone,
    feature_works_on_other_devices,
    feature_has_nothing_to_learn,
)
