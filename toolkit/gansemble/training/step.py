"""One training step: encode the real audio, build conditions, generate, inject noise, then the two turns.

First the discriminators learn (their turn), then the generator. With gradient accumulation all micro-batches of the
discriminators' turn come first, followed by one optimiser step; then all micro-batches of the generator's turn, against
the updated discriminators, followed by one optimiser step. The result equals that of one large batch. Alternating the
turns within each micro-batch, as is often done, does not: early micro-batches of the generator's turn would be judged
by discriminators that have not been updated yet.

No branch here depends on a published method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gansemble.abilities import Constraint, PooledTerm, needs_real_output, wants_real_scores
from gansemble.interfaces import Batch, DiscriminatorOutput, Objective, Step, Turn, zero
from gansemble.interfaces.at_work import AtWork, wrong
from gansemble.interfaces.demands import demand_items, demand_scalar
from gansemble.parts.build import Parts, Weighted
from gansemble.recipe.sections import Plan
from gansemble.training.encoding import Encoder
from gansemble.training.healing import Interventions
from gansemble.training.network_optimiser import NetworkOptimiser
from gansemble.training.pooling import Pool, leaving_no_trace
from gansemble.training.processes import Processes
from gansemble.training.teaching import Teaching

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Context manager in which a network's parameters get no gradients.

    In the generator's turn gradients flow through the discriminators, whose own weight gradients nobody needs. Leaving
    them out halves the cost of the backward pass, and the generator's gradients are the same bit for bit.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


#: Called as ``observe(step, turn)`` after each micro-batch of a turn, once its outputs are there.
Observe = Callable[[Step, Turn], None]


class TrainingStep:
    """Takes training steps over both networks.

    It has no state of its own that a checkpoint would have to hold: the interventions in effect are in its counters.

    Args:
        parts: the recipe's parts.
        generator, discriminators: the two sides, each a network with its optimisers.
        plan: when each side learns, and in which precision.
        device: where the networks are.
        processes: of the run; None where there is only this one.
        clips: number of clips in the training split, by which encoded items may be kept in memory (see
            :class:`gansemble.training.encoding.Encoder`); None keeps none.
        teacher: gives terms the output of the recipe's teacher; None without one.

    Shape:
        - audio of each micro-batch: [B, C, T], B items of C channels and T samples
        - real and generated items: [B, ...] in the representation's domain
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
        teacher: Teaching | None = None,
    ) -> None:
        self.teacher = teacher
        self.parts, self.plan, self.device, self.processes = parts, plan, device, processes
        self.generator, self.discriminators = generator, discriminators
        self.interventions = Interventions(parts.terms)
        self.encode = Encoder(parts.representation, plan, clips) if clips is not None else parts.encode
        self.constraints = [weighted for weighted in parts.terms if isinstance(weighted.term, Constraint)]
        self.pooled = [weighted for weighted in parts.terms if isinstance(weighted.term, PooledTerm)]

    def __call__(
        self, index: int, batches: Sequence[Batch], observers: Sequence[Observe] = (), measure: bool = False
    ) -> dict[str, Tensor]:
        """Takes one training step over a window of micro-batches.

        Args:
            index: of the step, from 0.
            batches: this process's micro-batches.
            observers: each is called as ``observe(step, turn)`` after each micro-batch of a turn, for statistics and
                monitors.
            measure: whether gradient norms are wanted.

        Returns:
            Scalars by name, averaged over micro-batches, detached and on the device: ``<turn>/total``,
                ``<turn>/adversarial.<discriminator>``, ``<turn>/<term>`` of each loss and regulariser before its weight
                is applied, and ``gradient_norm/<side>`` where it was computed.
        """
        window = len(batches)
        logs: dict[str, Tensor] = {}
        adversarial = bool(self.parts.weights) and index >= self.plan.discriminators_from
        # The generator learns in the last of every generator_every steps, after the discriminators' extra steps.
        learn_g = index % self.plan.generator_every == self.plan.generator_every - 1
        # With one micro-batch the fake of the discriminators' turn, made with its graph, serves the generator's turn.
        keep_graph = window == 1 and learn_g and not self.plan.fresh_fake
        batches = [self.parts.condition_builder.prepare(batch) for batch in batches]
        for batch in batches:
            batch.step = index
        steps: list[Step] = []
        if adversarial:
            pool = self._pool(index, batches, "discriminator", adversarial)
            for place, batch in enumerate(batches):
                step = self._generate(index, batch, "discriminator", keep_graph, inject=True)
                with self.discriminators.no_sync(place < window - 1):
                    self._turn(step, "discriminator", pool, place, logs, observers)
                steps = [step]
            self._learn(index, "discriminator", logs, measure)
        if learn_g:
            pool = self._pool(index, batches, "generator", adversarial)
            for place, batch in enumerate(batches):
                with self.generator.no_sync(place < window - 1):
                    reuse = keep_graph and bool(steps)
                    step = steps[0] if reuse else self._for_generator(index, batch, True, adversarial)
                    self._turn(step, "generator", pool, place, logs, observers, adversarial)
            self._learn(index, "generator", logs, measure)
        return logs

    def _learn(self, index: int, turn: Turn, logs: dict[str, Tensor], measure: bool) -> None:
        """Takes a step of a side's optimisers, then applies the constraints on its weights, such as weight clipping."""
        name = "discriminators" if turn == "discriminator" else "generator"
        side: NetworkOptimiser = getattr(self, name)
        norm = side.learn(measure)
        if norm is not None:
            logs[f"gradient_norm/{name}"] = norm.detach()
        for weighted in self.constraints if side.optimisers else ():
            term = weighted.term
            if isinstance(term, Constraint) and turn in weighted.term.turns and weighted.weight.at(index) != 0:
                with torch.no_grad(), AtWork(self.parts.who(weighted.name, term), f"in step {index + 1}"):
                    term.constrain(side.network, turn)

    def _for_generator(self, index: int, batch: Batch, with_graph: bool, adversarial: bool) -> Step:
        turn = "generator" if self.plan.fresh_fake else "discriminator"
        return self._generate(index, batch, turn, with_graph, inject=adversarial)

    def _pool(self, index: int, batches: Sequence[Batch], turn: Turn, adversarial: bool) -> Pool:
        """Makes the item values of this turn's pooled terms available for the whole window.

        With several micro-batches they are computed beforehand, in a pass without gradients of its own; with one, that
        is not needed.
        """
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
                    with AtWork(self.parts.who(weighted.name, weighted.term), f"in step {index + 1}"):
                        pool.note(weighted.name, weighted.term.item_values(step, turn))
        return pool

    @staticmethod
    def _counts(weighted: Weighted, index: int, turn: Turn, adversarial: bool) -> bool:
        """Whether a term is part of this turn's loss.

        It is unless its weight is zero, the turn is none of its own, or it reads the discriminators' output on real
        items while they are not in use.
        """
        blind = not adversarial and needs_real_output(weighted.term)
        return turn in weighted.term.turns and not blind and weighted.weight.at(index) != 0

    def _generate(self, index: int, batch: Batch, turn: str, with_graph: bool, inject: bool) -> Step:
        parts = self.parts
        who, doing = parts.who("representation", parts.representation), f"in step {index + 1}"
        with torch.no_grad():
            with AtWork(who, doing):
                real = self.encode(batch)
            demand_items(f"{who}, to encode,", real, batch.audio)
            real_condition, fake_condition = parts.condition_builder(batch, turn)
        who = parts.who("generator", parts.generator)
        with torch.set_grad_enabled(with_graph), self.autocast(), AtWork(who, doing):
            fake = self.generator.wrapped(fake_condition)
        # Discriminators and losses compare fakes with real items, of which they have the shape.
        fake = demand_items(f"{who}, in {doing[3:]},", fake, real, real.shape).float()
        seen = self._injected(real, fake, batch, doing, with_graph) if inject else (real, fake)
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
            teacher=self.teacher.lazily(fake_condition, fake, self.autocast) if self.teacher else None,
        )

    def _injected(
        self, real: Tensor, fake: Tensor, batch: Batch, doing: str, with_graph: bool
    ) -> tuple[Tensor, Tensor]:
        """What the discriminators see of real and generated items, with the noise of the recipe's injector, if it has one,
        and that of interventions.
        """
        injector = self.parts.injector
        if injector is None:
            return self.interventions.noisy(batch.step, real, fake, batch)
        who = self.parts.who("noise_injector", injector)
        with torch.set_grad_enabled(with_graph), AtWork(who, doing):
            seen = injector(real, fake, batch)
        if not isinstance(seen, tuple | list) or len(seen) != 2:
            raise wrong(who, "(real items, fakes), two tensors of the shapes that it was given", seen)
        sound = demand_items(who, seen[0], real, real.shape), demand_items(who, seen[1], fake, fake.shape)
        return self.interventions.noisy(batch.step, *sound, batch)

    def _turn(
        self,
        step: Step,
        turn: Turn,
        pool: Pool,
        place: int,
        logs: dict[str, Tensor],
        observers: Sequence[Observe],
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
                side.backward(total / window)  # gradients add up over the window to those of the mean loss
        for observe in observers:
            observe(step, turn)

    def _value(self, weighted: Weighted, step: Step, turn: Turn, pool: Pool, place: int) -> Tensor:
        """A term's value: of this micro-batch, or, for a pooled term, of the whole batch."""
        term, who = weighted.term, self.parts.who(weighted.name, weighted.term)
        with AtWork(who, f"in the {turn}'s turn of step {step.index + 1}"):
            if not isinstance(term, PooledTerm):
                value = term(step, turn)
            else:
                whole = pool.whole(weighted.name, place, term.item_values(step, turn))
                value = term.pool(whole, step, turn)
        return demand_scalar(f"{who}, in the {turn}'s turn of step {step.index + 1},", value, step.fake)

    def _judge(self, step: Step, turn: Turn, bare: bool = False) -> None:
        """Runs the discriminators and fills in the step's outputs for this turn.

        The generator's turn calls the module that is not wrapped for several processes, since a wrapped one would
        average gradients over processes in its backward pass; ``bare`` asks for the same in the discriminators' turn.
        """
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
        """The adversarial loss: the sum over discriminators of weight × (sum over its sub-discriminators of the
        objective).

        In the generator's turn it is multiplied by the objective's own weight as well.
        """
        total, objective = zero(step.fake), self.parts.objective
        for name, fakes in step.fake_output.items():
            assert objective is not None  # the check demands one beside discriminators
            if turn == "discriminator":
                pairs = zip(step.real_output[name], fakes, strict=True)
                losses: Iterator[Tensor] = (objective.discriminator(real.score, fake.score) for real, fake in pairs)
            else:
                losses = self._generator_loss(objective, step, name, fakes)
            who = self.parts.who("objective", objective)
            with AtWork(who, f"in the {turn}'s turn of step {step.index + 1}"):
                values = [demand_scalar(who, value, step.fake) for value in losses]
            share: Tensor = sum(values)  # type: ignore[assignment]
            _add(logs, f"{turn}/adversarial.{name}", share, window)
            total = total + step.weights[name] * share
        return total * self.parts.objective_weight.at(step.index) if turn == "generator" else total

    def _generator_loss(
        self, objective: Objective, step: Step, name: str, fakes: Sequence[DiscriminatorOutput]
    ) -> Iterator[Tensor]:
        """The generator's loss for each sub-discriminator of one discriminator.

        An objective that compares real and fake scores is given the scores of real items, too.
        """
        if not wants_real_scores(objective):
            return (objective.generator(fake.score) for fake in fakes)
        pairs = zip(fakes, step.real_output[name], strict=True)
        return (objective.generator(fake.score, real.score) for fake, real in pairs)

    def autocast(self) -> AbstractContextManager[object]:
        """Context manager for the networks' forward passes in the plan's precision; losses leave it by themselves."""
        dtype = PRECISIONS.get(self.plan.precision)
        return torch.autocast(self.device.type, dtype) if dtype is not None else nullcontext()


def _add(logs: dict[str, Tensor], name: str, value: Tensor, window: int) -> None:
    logs[name] = logs.get(name, 0) + value.detach() / window
