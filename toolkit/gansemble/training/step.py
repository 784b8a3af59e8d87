"""One step: encode, condition, generate, inject noise, the discriminators' turn, the generator's turn.

No branch names a method. Accumulation is windowed by phase: all micro-batches of the discriminators' turn, one
optimiser step, then all of the generator's turn against the new discriminators, one optimiser step. The usual
per-micro-batch idiom lets early micro-batches meet old discriminators and is not the large batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gansemble.abilities import Constraint, PooledTerm, needs_real_output, wants_real_scores
from gansemble.interfaces import Batch, DiscriminatorOutput, Objective, Step, Turn, zero
from gansemble.parts.build import Parts, Weighted
from gansemble.recipe.sections import Plan
from gansemble.training.encoding import Encoder
from gansemble.training.pooling import Pool, leaving_no_trace
from gansemble.training.processes import Processes

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
#: A scaler halves its scale, 65,536 at first, at each gradient that is not finite. So low, it will not find one that is.
LEAST_SCALE = 1e-4


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Keeps parameters out of the graph: the generator's gradients are the same bit for bit, at half the cost."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@runtime_checkable
class _Synchronised(Protocol):
    """A network that is wrapped for several processes: gradients made within ``no_sync()`` are not reduced."""

    def no_sync(self) -> AbstractContextManager[object]: ...


class NetworkOptimiser:
    """One optimiser with its network, gradient scaler and clipping.

    Args:
        network: the bare network.
        wrapped: the network as the launcher wrapped it.
        optimiser: of its parameters, or None when it has none.
        plan: precision and clipping.
    """

    def __init__(
        self, network: nn.Module, wrapped: nn.Module, optimiser: torch.optim.Optimizer | None, plan: Plan
    ) -> None:
        self.network, self.wrapped, self.optimiser, self.clip = network, wrapped, optimiser, plan.clip
        # One scaler for each side: a shared one is updated twice a step and unscales the other side's gradients.
        self.scaler = torch.amp.GradScaler(enabled=plan.precision == "fp16" and torch.cuda.is_available())
        self.base_rates = [group["lr"] for group in optimiser.param_groups] if optimiser else []

    def backward(self, loss: Tensor) -> None:
        """Adds the loss's gradients."""
        self.scaler.scale(loss).backward()

    def learn(self, measure: bool) -> Tensor | None:
        """One optimiser step; the gradient norm when it is measured or clipped."""
        if self.optimiser is None:
            return None
        norm = None
        if self.clip is not None or measure:
            self.scaler.unscale_(self.optimiser)
            parameters = [parameter for parameter in self.network.parameters() if parameter.grad is not None]
            norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
            if self.clip is not None:
                nn.utils.clip_grads_with_norm_(parameters, self.clip, norm)
            if self.scaler.is_enabled():  # it finds its scale by steps whose gradients overflow, and leaves these out
                norm = norm.nan_to_num(0.0, 0.0, 0.0)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        return norm

    @property
    def loss_scale(self) -> float | None:
        """What the loss is multiplied by before its gradients are taken, as fp16 needs; None in other precisions."""
        return self.scaler.get_scale() if self.scaler.is_enabled() else None

    @property
    def stalled(self) -> bool:
        """Whether step after step has been left out, because no scale makes the gradients finite."""
        scale = self.loss_scale
        return scale is not None and scale < LEAST_SCALE

    def set_rate(self, factor: float) -> None:
        """Sets each group's learning rate to its base rate times a factor."""
        if self.optimiser:
            for group, base in zip(self.optimiser.param_groups, self.base_rates, strict=True):
                group["lr"] = base * factor

    def no_sync(self, off: bool) -> AbstractContextManager[object]:
        """Leaves gradients unreduced between processes until the window's last micro-batch."""
        return self.wrapped.no_sync() if off and isinstance(self.wrapped, _Synchronised) else nullcontext()


#: What looks at each micro-batch once its outputs are there.
Observe = Callable[[Step, Turn], None]


class TrainingStep:
    """Runs steps; holds no state of its own besides what it was given.

    Args:
        parts: the recipe's parts.
        generator, discriminators: the two sides.
        plan: the order of learning.
        device: where the networks are.
        processes: of the run, where there are several.
        clips: of the training split; None: how many is not known, and no encoded item is kept.
    """

    def __init__(
        self,
        parts: Parts,
        generator: NetworkOptimiser,
        discriminators: NetworkOptimiser,
        plan: Plan,
        device: torch.device,
        processes: Processes | None = None,
        clips: int | None = None,
    ) -> None:
        self.parts, self.plan, self.device, self.processes = parts, plan, device, processes
        self.generator, self.discriminators = generator, discriminators
        self.encode = Encoder(parts.representation, plan, clips) if clips is not None else parts.encode
        self.constraints = [weighted for weighted in parts.terms if isinstance(weighted.term, Constraint)]
        self.pooled = [weighted for weighted in parts.terms if isinstance(weighted.term, PooledTerm)]

    def __call__(
        self, index: int, batches: Sequence[Batch], observe: Observe | None = None, measure: bool = False
    ) -> dict[str, Tensor]:
        """One step over a window of micro-batches; returns losses as detached scalars on the device.

        ``observe(step, turn)`` is called after each micro-batch's outputs, for statistics and monitors.
        """
        window = len(batches)
        logs: dict[str, Tensor] = {}
        adversarial = bool(self.parts.weights) and index >= self.plan.discriminators_from
        learn_g = index % self.plan.generator_every == self.plan.generator_every - 1
        keep_graph = window == 1 and learn_g and not self.plan.fresh_fake
        batches = [self.parts.condition_builder.prepare(batch) for batch in batches]
        steps: list[Step] = []
        if adversarial:
            pool = self._pool(index, batches, "discriminator", adversarial)
            for place, batch in enumerate(batches):
                step = self._generate(index, batch, "discriminator", keep_graph, inject=True)
                with self.discriminators.no_sync(place < window - 1):
                    self._turn(step, "discriminator", pool, place, logs, observe)
                steps = [step]
            self._learn(index, "discriminator", logs, measure)
        if learn_g:
            pool = self._pool(index, batches, "generator", adversarial)
            for place, batch in enumerate(batches):
                with self.generator.no_sync(place < window - 1):
                    reuse = keep_graph and bool(steps)
                    step = steps[0] if reuse else self._for_generator(index, batch, True, adversarial)
                    self._turn(step, "generator", pool, place, logs, observe, adversarial)
            self._learn(index, "generator", logs, measure)
        return logs

    def _learn(self, index: int, turn: Turn, logs: dict[str, Tensor], measure: bool) -> None:
        """A side's optimiser step, and what holds its weights in bounds after it."""
        name = "discriminators" if turn == "discriminator" else "generator"
        side: NetworkOptimiser = getattr(self, name)
        norm = side.learn(measure)
        if norm is not None:
            logs[f"gradient_norm/{name}"] = norm.detach()
        for weighted in self.constraints if side.optimiser is not None else ():
            term = weighted.term
            if isinstance(term, Constraint) and turn in weighted.term.turns and weighted.weight.at(index) != 0:
                with torch.no_grad():
                    term.constrain(side.network, turn)

    def _for_generator(self, index: int, batch: Batch, with_graph: bool, adversarial: bool) -> Step:
        turn = "generator" if self.plan.fresh_fake else "discriminator"
        return self._generate(index, batch, turn, with_graph, inject=adversarial)

    def _pool(self, index: int, batches: Sequence[Batch], turn: Turn, adversarial: bool) -> Pool:
        """What the turn's pooled terms need of all micro-batches, found in a pass of its own where there are several."""
        processes, window = self.processes, len(batches)
        world, rank = (processes.world, processes.rank) if processes else (1, 0)
        pool = Pool(window, world, processes.joined if processes else torch.Tensor.detach, rank)
        wanted = [each for each in self.pooled if self._counts(each, index, turn, adversarial)] if window > 1 else []
        if not wanted:
            return pool
        with torch.no_grad(), leaving_no_trace([self.parts.generator, self.parts.discriminators]):
            for batch in batches:
                if turn == "discriminator":
                    step = self._generate(index, batch, turn, False, inject=True)
                else:
                    step = self._for_generator(index, batch, False, adversarial)
                if adversarial:
                    self._judge(step, turn, bare=True)
                for weighted in wanted:
                    assert isinstance(weighted.term, PooledTerm)
                    pool.note(weighted.name, weighted.term.item_values(step, turn))
        return pool

    @staticmethod
    def _counts(weighted: Weighted, index: int, turn: Turn, adversarial: bool) -> bool:
        """Whether a term is part of this turn's loss."""
        blind = not adversarial and needs_real_output(weighted.term)
        return turn in weighted.term.turns and not blind and weighted.weight.at(index) != 0

    def _generate(self, index: int, batch: Batch, turn: str, with_graph: bool, inject: bool) -> Step:
        parts = self.parts
        with torch.no_grad():
            real = self.encode(batch)
            real_condition, fake_condition = parts.condition_builder(batch, turn)
        with torch.set_grad_enabled(with_graph), self.autocast():
            fake = self.generator.wrapped(fake_condition).float()
        seen = (real, fake)
        if inject and parts.injector is not None:
            with torch.set_grad_enabled(with_graph):
                seen = parts.injector(real, fake, batch)
        weights = {name: weight.at(index) for name, weight in parts.weights.items()}
        return Step(
            index,
            batch,
            real,
            fake,
            real_condition,
            fake_condition,
            *seen,
            parts.generator,
            parts.discriminators,
            weights,
            representation=parts.representation,
        )

    def _turn(
        self,
        step: Step,
        turn: Turn,
        pool: Pool,
        place: int,
        logs: dict[str, Tensor],
        observe: Observe | None,
        adversarial: bool = True,
    ) -> None:
        window = pool.window
        side = self.discriminators if turn == "discriminator" else self.generator
        with frozen(self.parts.discriminators) if turn == "generator" else nullcontext():
            if adversarial:
                self._judge(step, turn)
            total = self._objective(step, turn, logs, window) if adversarial else zero(step.fake)
            for weighted in self.parts.terms:
                if self._counts(weighted, step.index, turn, adversarial) and weighted not in self.constraints:
                    value = self._value(weighted, step, turn, pool, place)
                    _add(logs, f"{turn}/{weighted.name}", value, window)
                    total = total + weighted.weight.at(step.index) * value
            _add(logs, f"{turn}/total", total, window)
            if total.requires_grad:
                side.backward(total / window)
        if observe is not None:
            observe(step, turn)

    def _value(self, weighted: Weighted, step: Step, turn: Turn, pool: Pool, place: int) -> Tensor:
        """A term's value of a micro-batch, or of the whole batch where it is no mean over items."""
        term = weighted.term
        if not isinstance(term, PooledTerm):
            return term(step, turn)
        whole = pool.whole(weighted.name, place, term.item_values(step, turn))
        return term.pool(whole, step, turn)

    def _judge(self, step: Step, turn: Turn, bare: bool = False) -> None:
        """Fills in the step's outputs; the generator's turn uses the bare module, which its backward must not reduce."""
        real = (step.seen_real, step.real_condition)
        # Weight norms are computed once a turn: real and fake are judged by the same weights.
        with self.autocast(), parametrize.cached():
            if turn == "discriminator":
                fake = (step.seen_fake.detach(), step.fake_condition)
                judge = self.parts.discriminators if bare else self.discriminators.wrapped
                step.real_output, step.fake_output = judge(real, fake)
                return
            (step.fake_output,) = self.parts.discriminators((step.seen_fake, step.fake_condition))
            step.real_output = {}
            if self.parts.needs_real_output(turn):
                with torch.no_grad():
                    (step.real_output,) = self.parts.discriminators(real)

    def _objective(self, step: Step, turn: Turn, logs: dict[str, Tensor], window: int) -> Tensor:
        """sum over discriminators of weight × sum over sub-discriminators of the objective."""
        total, objective = zero(step.fake), self.parts.objective
        for name, fakes in step.fake_output.items():
            assert objective is not None  # the check demands one beside discriminators
            if turn == "discriminator":
                pairs = zip(step.real_output[name], fakes, strict=True)
                losses: Iterator[Tensor] = (objective.discriminator(real.score, fake.score) for real, fake in pairs)
            else:
                losses = self._generator_loss(objective, step, name, fakes)
            share: Tensor = sum(losses)  # type: ignore[assignment,arg-type]
            _add(logs, f"{turn}/adversarial.{name}", share, window)
            total = total + step.weights[name] * share
        return total * self.parts.objective_weight.at(step.index) if turn == "generator" else total

    def _generator_loss(
        self, objective: Objective, step: Step, name: str, fakes: Sequence[DiscriminatorOutput]
    ) -> Iterator[Tensor]:
        """The generator's objective with each sub-discriminator, which is shown real scores too where it pairs them."""
        if not wants_real_scores(objective):
            return (objective.generator(fake.score) for fake in fakes)
        pairs = zip(fakes, step.real_output[name], strict=True)
        return (objective.generator(fake.score, real.score) for fake, real in pairs)

    def autocast(self) -> AbstractContextManager[object]:
        """Autocast of the networks; features and losses leave it by themselves."""
        dtype = PRECISIONS.get(self.plan.precision)
        return torch.autocast(self.device.type, dtype) if dtype is not None else nullcontext()


def _add(logs: dict[str, Tensor], name: str, value: Tensor, window: int) -> None:
    logs[name] = logs.get(name, 0) + value.detach() / window
