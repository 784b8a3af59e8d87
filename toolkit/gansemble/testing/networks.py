"""The promises of all networks, and those of generators."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gansemble import abilities
from gansemble.contract import DEGRADED, GeneratorContract, NetworkContract, RepresentationContract
from gansemble.inference.streaming import enhancement_stream
from gansemble.interfaces import Condition, as_outputs
from gansemble.parts.build import Waveform
from gansemble.plugins import signatures
from gansemble.recipe.task import open_task, task_of
from gansemble.testing.subject import Fault, Subject, demand, demand_no_device_of_its_own, half_precision

Call = Callable[[nn.Module], tuple[Tensor, ...]]


def generates(subject: Subject, condition: Condition | None = None) -> Call:
    """A function that calls a generator with ``condition``, or else one that fits its contract."""
    condition = condition or subject.condition()
    return lambda network: (network(condition),)


def judges(subject: Subject, x: Tensor | None = None) -> Call:
    """A function that calls a discriminator with ``x``, and gives its scores, features and logits in this order."""
    heard = subject.x() if x is None else x
    condition = subject.judged_condition(heard.shape[0], heard.shape[-1] if subject.waveform else None)

    def call(network: nn.Module) -> tuple[Tensor, ...]:
        outputs = as_outputs(network(heard, condition))
        scores = tuple(output.score for output in outputs)
        logits = tuple(output.logits for output in outputs if output.logits is not None)
        return (*scores, *(feature for output in outputs for feature in output.features), *logits)

    return call


def call_of(subject: Subject) -> Call:
    """A function that calls a network as its kind is called, with inputs that fit its contract."""
    return generates(subject) if subject.entry.kind == "generator" else judges(subject)


def total(tensors: Sequence[Tensor]) -> Tensor:
    """A scalar that depends on all of the tensors: the sum of their mean squares."""
    return torch.stack([tensor.float().square().mean() for tensor in tensors]).sum()


def learns(subject: Subject) -> bool:
    """Whether a network has weights to learn; a baseline says ``learns = False``."""
    return abilities.learns(subject.target)


def is_a_network(subject: Subject) -> None:
    """It is a torch module with parameters, or says ``learns = False`` and has none."""
    network = subject.make()
    demand(isinstance(network, nn.Module), f"expected a torch.nn.Module, got {type(network).__name__}")
    some = any(True for _ in network.parameters())
    if learns(subject):
        demand(some, "it has no parameters: nothing can be learnt; a baseline says learns = False")
    else:
        demand(not some, "it says learns = False and has parameters")


def keeps_dtype_device_and_finiteness(subject: Subject) -> None:
    """For float32 inputs its outputs are float32, finite and on the same device, also for a batch of one item."""
    network = subject.make()
    for made in call_of(subject)(network):
        demand(made.dtype == torch.float32, f"expected float32 of float32 inputs, got {made.dtype}")
        demand(made.device.type == "cpu", f"expected the inputs' device cpu, got {made.device}")
        demand(bool(torch.isfinite(made).all()), "its output is not finite")
    if subject.entry.kind == "generator":
        generates(subject, subject.condition(1))(network.eval())
    else:
        judges(subject, subject.x(1))(network.eval())


def teaches_every_parameter(subject: Subject) -> None:
    """Every parameter gets a finite gradient, as one without stops training on several processes."""
    if not learns(subject):
        return
    network = subject.make().train()
    total(call_of(subject)(network)).backward()
    _demand_gradients(network)


def _demand_gradients(network: nn.Module) -> None:
    learning = [(name, p.grad) for name, p in network.named_parameters() if p.requires_grad]
    without = [name for name, grad in learning if grad is None]
    demand(not without, f"no gradient reaches {', '.join(without[:5])}")
    broken = [name for name, grad in learning if grad is not None and not torch.isfinite(grad).all()]
    demand(not broken, f"the gradient of {', '.join(broken[:5])} is not finite")


def leaves_its_inputs_alone(subject: Subject) -> None:
    """It does not write into the tensors that it is given."""
    network = subject.make()
    if subject.entry.kind == "generator":
        condition = subject.condition()
        given = condition.tensors()
        call = generates(subject, condition)
    else:
        heard = subject.x()
        given, call = [heard], judges(subject, heard)
    before = [value.clone() for value in given]
    call(network)
    same = all(torch.equal(value, old) for value, old in zip(given, before, strict=True))
    demand(same, "it writes into its inputs; use x = x + y, not x += y, on what it was given")


def repeats_itself(subject: Subject) -> None:
    """The same inputs give the same output: always in eval mode, and under the same seed in train mode."""
    network, call = subject.make().eval(), call_of(subject)
    with torch.no_grad():
        same = _equal(call(network), call(network))
    demand(same, "two calls in eval differ; a draw, a dropout or a running statistic is on that should be off")
    first, second = subject.make().train(), subject.make().train()
    made = []
    for network in (first, second):
        torch.manual_seed(11)
        made.append(call(network))
        demand(torch.initial_seed() == 11, "a call seeds torch's generator, and so all that draws after it")
    demand(_equal(*made), "two networks of one seed differ; it draws from something torch.manual_seed does not set")


def _equal(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> bool:
    return len(ours) == len(theirs) and all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def keeps_its_state(subject: Subject) -> None:
    """Another network that loads its state dict gives the same outputs, and so does a deep copy of it."""
    call = call_of(subject)
    network, other = subject.make(0), subject.make(1)
    _twin(network)  # the average of weights copies a network that has not been called
    call(network.train())  # so that running statistics have moved
    with torch.no_grad():
        expected = call(network.eval())
        other.load_state_dict(network.state_dict())
        restored = call(other.eval())
        demand(
            _equal(expected, restored),
            "a network restored from its state dict differs; register what it needs as buffers",
        )
        demand(_equal(expected, call(_twin(network).eval())), "a deep copy of it gives another output")


def _twin(network: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(network)
    except Exception as error:
        raise Fault(f"it cannot be copied, which the average of weights needs ({error})") from error


def knows_training_from_eval(subject: Subject) -> None:
    """Calling it does not switch between train and eval mode, and in eval mode changes no running statistics."""
    network, call = subject.make(), call_of(subject)
    for mode in (True, False):
        network.train(mode)
        before = {name: value.clone() for name, value in network.state_dict().items()}
        call(network)
        modes = {module.training for module in network.modules()}
        demand(modes == {mode}, "calling it changes the mode it is in")
        if not mode:
            moved = [n for n, value in network.state_dict().items() if not torch.equal(value, before[n])]
            demand(not moved, f"a call in eval changes {', '.join(moved[:3])}")


def survives_autocast(subject: Subject) -> None:
    """Its outputs and gradients are finite under bfloat16 autocast."""
    network = subject.make().train()
    try:
        with half_precision():
            made = call_of(subject)(network)
    except (RuntimeError, TypeError) as error:
        raise Fault(f"it fails under bfloat16 autocast ({str(error).splitlines()[0]})") from error
    demand(all(bool(torch.isfinite(each).all()) for each in made), "its output under bfloat16 autocast is not finite")
    if learns(subject):
        with torch.backends.mkldnn.flags(enabled=False):
            total(made).backward()
        _demand_gradients(network)


def makes_what_its_contract_says(subject: Subject) -> None:
    """Its output has the contract's shape; waveforms have a hop of samples for each frame."""
    contract, made = subject.items, subject.make()(subject.condition())
    demand(isinstance(made, Tensor), f"expected a Tensor, got {type(made).__name__}")
    wanted: tuple[int | None, ...] = contract.shape or ((1, None) if subject.waveform else ())
    if subject.waveform and wanted and wanted[-1] is None:
        wanted = (*wanted[:-1], subject.segment)
    if not wanted:
        demand(made.shape[0] == 2, f"expected the batch's 2 items first, got {tuple(made.shape)}")
        return
    fits = len(made.shape) == len(wanted) + 1 and made.shape[0] == 2
    fits = fits and all(size in (None, have) for size, have in zip(wanted, made.shape[1:], strict=True))
    shown = ", ".join("any" if size is None else str(size) for size in wanted)
    demand(fits, f"expected [2, {shown}], got {list(made.shape)}")


def makes_any_length(subject: Subject) -> None:
    """If it reads a mel spectrogram, it makes ``upsampling`` samples for each frame, for any number of frames."""
    if "mel" not in (subject.stated(GeneratorContract).reads or ()):
        return
    network, up = subject.make().eval(), subject.stated(GeneratorContract).upsampling or subject.spec.hop
    for frames in (7, 33, 1, 2):  # not the shortest first: what is made for one frame fits any number
        with torch.no_grad():
            made = network(subject.of_frames(frames))
        demand(
            made.shape == (1, 1, frames * up),
            f"{frames} frames at {up} samples each should make [1, 1, {frames * up}], got {list(made.shape)}",
        )


def makes_items_apart(subject: Subject) -> None:
    """In eval mode a generator makes the same of an item alone as in a batch."""
    network, condition = subject.make().eval(), subject.condition()
    with torch.no_grad():
        together = network(condition)
        alone = torch.cat([network(pick(condition, slice(place, place + 1))) for place in (0, 1)])
    demand(
        together.shape == alone.shape and torch.allclose(together, alone, rtol=1e-3, atol=1e-4),
        "in a batch it makes something else of an item than alone; keep dimension 0 out of means, norms and reshapes",
    )


def pick(condition: Condition, items: slice | list[int]) -> Condition:
    """The condition of some items of the batch."""
    return condition.map(lambda value: value[items])


def works_on_other_devices(subject: Subject) -> None:
    """Tensors that it creates are on the device of its inputs."""
    network = subject.make().to("meta")
    condition = subject.condition() if subject.entry.kind == "generator" else subject.judged_condition()
    moved = condition.map(lambda value: value.to("meta"))
    if subject.entry.kind == "generator":
        demand_no_device_of_its_own(lambda: network(moved))
    else:
        demand_no_device_of_its_own(lambda: network(subject.x().to("meta"), moved))


def reaches_as_far_as_it_says(subject: Subject) -> None:
    """If it reads a mel spectrogram, its output depends on at most ``context_frames`` frames to each side."""
    if "mel" not in (subject.stated(GeneratorContract).reads or ()):
        return
    network = subject.make().eval()
    demand(
        hasattr(network, "context_frames"),
        "it reads a spectrogram and has no context_frames: its one-sided receptive field [frames], or None",
    )
    context = network.context_frames
    if context is None or context > 1000:
        return
    demand(isinstance(context, int) and context >= 0, f"context_frames must be a whole number or None, got {context!r}")
    frames = 2 * context + 40
    condition, other = subject.of_frames(frames), subject.of_frames(frames)
    middle = frames // 2
    for name, signal in other.signals.items():
        codes = subject.stated(GeneratorContract).codes.get(name)
        moved = signal[:, :, middle] + (3.0 if codes is None else 1.0)
        signal[:, :, middle] = moved if codes is None else moved % codes
    with torch.no_grad():
        whole = network(condition)
        changed = (whole - network(other)).abs().amax(dim=(0, 1))
    # Output samples of a frame: of a sample that changed, it gives the frame that it belongs to.
    hop = whole.shape[-1] // frames
    moved = (changed > 1e-6 * changed.max()).nonzero().flatten()
    demand(len(moved) > 0, "a change of a frame changes nothing")
    reach = max(middle - int(moved.min()) // hop, int(moved.max()) // hop - middle)
    demand(reach <= context, f"context_frames says {context}, but a frame changes samples {reach} frames away")


def says_what_it_reads(subject: Subject) -> None:
    """Its contract declares ``reads``, which decides a recipe's task: vocoding, generation or enhancement."""
    demand(task_of(subject.stated(GeneratorContract)) is not None, open_task("the generator"))


def restores_in_chunks(subject: Subject) -> None:
    """If it reads degraded recordings, it restores them in chunks as it does whole.

    Chunks are made with its ``context_frames`` and ``alignment``. Its weights are made large for that, since a new
    network may do nothing.
    """
    if DEGRADED not in (subject.stated(GeneratorContract).reads or ()):
        return
    network = subject.make().eval()
    demand(
        hasattr(network, "context_frames"), "it has no context_frames: what it needs on both sides [samples], or None"
    )
    context = network.context_frames
    if context is None or context > 20000:
        return
    drawn = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        if parameter.dim() > 1:
            fan = parameter[0].numel()
            # Just below the variance 2 / fan-in under which layers with ReLU keep the level of their input.
            parameter.data = torch.randn(parameter.shape, generator=drawn) * (1.9 / fan) ** 0.5
    unit = abilities.alignment(network)
    length = 3 * (2 * context + 16 * unit) + 5
    audio = 0.1 * torch.randn(1, length, generator=drawn)
    with torch.no_grad():
        condition = subject.condition(1)
        whole = network(Condition(condition.latent, condition.label, {DEGRADED: audio[None]}))[0]
    label = None if condition.label is None else int(condition.label[0])
    made = enhancement_stream(network, Waveform(), context + 4 * unit, label).whole(audio)
    demand(made.shape == whole.shape, f"in chunks it makes {list(made.shape)}, of the whole {list(whole.shape)}")
    error = float((made - whole).abs().max() / whole.abs().max().clamp_min(1e-6))
    demand(
        error < 1e-3,
        f"restored in chunks with {context} samples of context, a recording differs by {error:.2g} of its largest sample "
        "from the whole; say a larger context_frames, or an alignment that chunks must begin at",
    )


def takes_silence_and_full_scale(subject: Subject) -> None:
    """Digital silence and a full-scale square wave give finite outputs and gradients."""
    time = torch.arange(subject.segment)
    square = torch.sign(torch.sin(2 * torch.pi * 100 * time / subject.spec.sample_rate) + 1e-9)
    for name, sound, latent in (
        ("silence", torch.zeros(2, 1, subject.segment), 0.0),
        ("full scale", square.expand(2, 1, -1), 1.0),
    ):
        network = subject.make().train()
        if subject.entry.kind == "generator":
            made = generates(subject, subject.condition(2, sound, latent))(network)
        else:
            heard = sound if subject.waveform else torch.full_like(subject.x(), latent)
            heard = heard.expand_as(subject.x()).clone().requires_grad_()
            made = judges(subject, heard)(network)
        demand(all(bool(torch.isfinite(each).all()) for each in made), f"its output of {name} is not finite")
        if not learns(subject):
            continue
        total(made).backward()
        try:
            _demand_gradients(network)
        except Fault as fault:
            raise Fault(f"of {name}: {fault}") from fault
        if subject.entry.kind == "discriminator":
            demand(heard.grad is not None, f"no gradient reaches {name}, its input")
            assert heard.grad is not None
            demand(bool(torch.isfinite(heard.grad).all()), f"the gradient to {name} is not finite")


def demand_growth(subject: Subject) -> float | None:
    """The progress at which a part has its full size; None if it does not grow.

    Raises:
        Fault: if it grows and its contract has no ``grows_to``, or the other way round.
    """
    grows = signatures.has_ability(subject.target, abilities.Growable)
    most = subject.stated(NetworkContract).grows_to or subject.stated(RepresentationContract).grows_to
    demand(not grows or most is not None, "it has set_progress; its contract must say where it is grown: grows_to")
    demand(grows or most is None, f"its contract says that it grows to {most}, but it has no set_progress")
    return most


def grows_as_it_says(subject: Subject) -> None:
    """If it grows, its contract says by ``grows_to`` where, and there it gives the output of a newly built network."""
    most = demand_growth(subject)
    if most is None:
        return
    new, grown = subject.make().eval(), subject.make().eval()
    for progress in (0.0, float(most)):
        grown.set_progress(progress)
    with torch.no_grad():
        same = _equal(call_of(subject)(new), call_of(subject)(grown))
    demand(same, f"at progress {most:g}, where its contract says it is grown, its output is not that of a new one")


COMMON = (
    is_a_network,
    grows_as_it_says,
    keeps_dtype_device_and_finiteness,
    teaches_every_parameter,
    leaves_its_inputs_alone,
    repeats_itself,
    keeps_its_state,
    knows_training_from_eval,
    survives_autocast,
    works_on_other_devices,
    takes_silence_and_full_scale,
)
GENERATOR = (
    says_what_it_reads,
    *COMMON,
    makes_what_its_contract_says,
    makes_items_apart,
    makes_any_length,
    reaches_as_far_as_it_says,
    restores_in_chunks,
)
