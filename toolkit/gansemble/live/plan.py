"""Turns the operations of a network into the steps of a stream of it, operation by operation.

The values that steps give are numbered. Each that has a dimension of time is a :class:`gansemble.live.flow.Flow`; where values
of different delay meet, the earlier one waits.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TypeAlias, cast

import torch
from torch import Tensor, fx

from gansemble.live.flow import Clock, Flow, NotLayered, flow_of
from gansemble.live.steps import Apply, Delay, Made, Step
from gansemble.live.trace import Line, Trace

Shape: TypeAlias = tuple[int, ...]

#: Numbers in a delay's state from which on they are not moved along at each call.
LONG = 1 << 16


@dataclass(frozen=True)
class Ends:
    """Some elements at the beginning or the end of a flow, as they are repeated there.

    Args:
        source: number of the flow's value.
        axis: the dimension of time.
        places: positions in the signal; below zero, they are counted from its end.
    """

    source: int
    axis: int
    places: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """A network as steps.

    Args:
        steps: in order, each with the number of the value that it gives.
        values: how many there are; the input is number 0.
        constants: values that are the same at all times, by number.
        states: shape and type of each step's state.
        output: number of the value that the network gives, and its flow.
        flow: of the output.
        unit: a number of frames that is read at a time must be a multiple of this.
    """

    steps: Sequence[tuple[int, Step]]
    values: int
    constants: Mapping[int, Tensor]
    states: Sequence[tuple[Shape, torch.dtype]]
    output: int
    flow: Flow
    unit: int


class Planner:
    """Makes a plan line by line; rules for single operations are in :mod:`gansemble.live.rules`.

    Attributes:
        flows: of values by number; a value of several tensors has the flow of the first of its inputs.
        ends: values that are elements of the beginning or the end of a flow, by number.
        padded: (number of a flow, zeros in front) of values that are padded for convolutions alone, which see to it themselves.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.numbers: dict[fx.Node, int] = {}
        self.lines: dict[int, Line] = {}
        self.flows: dict[int, Flow] = {}
        self.ends: dict[int, Ends] = {}
        self.padded: dict[int, tuple[int, int]] = {}
        self.constants: dict[int, Tensor] = {}
        self.steps: list[tuple[int, Step]] = []
        self.states: list[tuple[Shape, torch.dtype]] = []
        self.unit = 1
        self._values = 0
        self._fixed: tuple[dict[fx.Node, object], dict[fx.Node, object]] = ({}, {})
        self._waiting: dict[tuple[int, int], int] = {}

    def number(self) -> int:
        """The number of a new value."""
        self._values += 1
        return self._values - 1

    def plan(self, rules: Mapping[str, Callable[[Planner, Line], None]]) -> Plan:
        """The whole plan.

        Args:
            rules: what is done with an operation, by its name; others must make each element of those of the same time.

        Raises:
            NotLayered: if there is an operation that no rule fits.
        """
        for line in self.trace.lines:
            if line.name == "output":
                return self._ended(line)
            if line.name == "input":
                self.give(line, self.flow_of(line, 0))
            elif line.nodes[0].users:
                self._planned(line, rules)
        raise AssertionError("a graph ends with its output")

    def _planned(self, line: Line, rules: Mapping[str, Callable[[Planner, Line], None]]) -> None:
        inputs = line.nodes[0].all_input_nodes
        if not any(node in self.numbers for node in inputs):
            self._constant(line)
            return
        numbers = [self.numbers[node] for node in inputs if node in self.numbers]
        if any(number in self.ends for number in numbers) and line.name not in ("cat", "expand", "flip"):
            raise NotLayered(f"{line.name} computes with single elements of the beginning or the end")
        rules.get(line.name, _unknown)(self, line)

    def _ended(self, line: Line) -> Plan:
        node = line.nodes[0].args[0]
        number = self.numbers.get(node) if isinstance(node, fx.Node) else None
        if number is None or number not in self.flows:
            raise NotLayered("what it makes does not depend on what it reads")
        return Plan(self.steps, self._values, self.constants, self.states, number, self.flows[number], self.unit)

    def flow_of(self, line: Line, delay: int) -> Flow:
        """The flow of what a line makes.

        Raises:
            NotLayered: if time is no dimension of it, as of a mean over the signal.
        """
        assert line.shapes is not None
        flow = flow_of(line.shapes, self.trace.lengths, delay)
        if flow is None:
            raise NotLayered(f"{line.name} makes one value of the whole signal")
        self.unit = math.lcm(self.unit, flow.rate.denominator)
        return flow

    def give(self, line: Line, flow: Flow) -> int:
        """Numbers what a line makes, as a flow."""
        number = self.number()
        self.numbers[line.nodes[0]], self.lines[number], self.flows[number] = number, line, flow
        return number

    def step(self, number: int, step: Step, state: Shape = (0,), dtype: torch.dtype = torch.float32) -> None:
        """Adds the step that makes a value, and its state."""
        self.steps.append((number, step))
        self.states.append((state, dtype))

    def source(self, line: Line, argument: object) -> tuple[int, Flow, Shape]:
        """(number, flow, shape in the first run) of an argument that must be a flow.

        Raises:
            NotLayered: if it is none.
        """
        number = self.numbers.get(argument) if isinstance(argument, fx.Node) else None
        if number is None or number not in self.flows or self.lines[number].shapes is None:
            raise NotLayered(f"{line.name} is applied in a way that is not known")
        shapes = self.lines[number].shapes
        assert shapes is not None
        return number, self.flows[number], shapes[0]

    def at(self, number: int, delay: int) -> int:
        """The number of a flow with a delay of at least its own [elements]; a step that keeps it back is added."""
        flow = self.flows[number]
        if flow.steady or flow.delay == delay:
            return number
        key = (number, delay)
        if key not in self._waiting:
            line, waiting = self.lines[number], self.number()
            self.flows[waiting], self.lines[waiting] = flow.later(delay), line
            assert line.shapes is not None
            by = delay - flow.delay
            shape = with_axis(line.shapes[0], flow.axis, by)
            self.step(waiting, Delay(number, flow, by, math.prod(shape) >= LONG), shape, dtype_of(line))
            self._waiting[key] = waiting
        return self._waiting[key]

    def fixed(self, argument: object, run: int = 0) -> Tensor | None:
        """A constant that an argument stands for; None where it is none.

        Raises:
            NotLayered: if it depends on the signal.
        """
        if argument is None:
            return None
        found = self._fixed[run].get(argument) if isinstance(argument, fx.Node) else None
        if not isinstance(found, Tensor):
            raise NotLayered("the weights of a layer depend on the signal")
        return found

    def _constant(self, line: Line) -> None:
        made = []
        for graph, node, known in zip(self.trace.graphs, line.nodes, self._fixed, strict=True):
            if line.name == "constant":
                known[node] = _attribute(graph, str(node.target))
            else:
                args, kwargs = _filled(node, known)
                with torch.no_grad():
                    known[node] = node.target(*args, **kwargs)  # type: ignore[operator]
            made.append(known[node])
        if not (isinstance(made[0], Tensor) and isinstance(made[1], Tensor)):
            return
        flow = flow_of([made[0].shape, made[1].shape], self.trace.lengths, 0)
        if flow is not None:
            self._steady(line, flow, made[0], made[1])
        elif not torch.equal(made[0], made[1]):
            raise NotLayered(f"{line.name} makes other constants for another length of the signal")

    def _steady(self, line: Line, flow: Flow, ours: Tensor, theirs: Tensor) -> None:
        """Numbers a constant that is repeated along time."""
        one = ours.narrow(flow.axis, 0, 1)
        if not (torch.equal(ours, one.expand_as(ours)) and torch.equal(theirs, one.expand_as(theirs))):
            raise NotLayered(f"{line.name} makes constants that change along time")
        constant = self.number()
        self.constants[constant] = one.clone()
        number = self.give(line, Flow(flow.axis, flow.rate, flow.extra, 0, steady=True))
        self.unit = math.lcm(self.unit, flow.rate.denominator)

        def repeated(values: Sequence[Made | None], clock: Clock) -> Tensor:
            x = values[constant]
            assert isinstance(x, Tensor)
            return x.expand([clock.size(flow) if axis == flow.axis else -1 for axis in range(x.dim())])

        self.step(number, Apply(repeated))

    def apply(self, line: Line, sizes: Mapping[str, object] | None = None, times: tuple[int, int] = (1, 1)) -> None:
        """Adds the step of an operation that makes each element of those of the same time.

        Args:
            line: the operation.
            sizes: arguments by name, in place of those that depend on the length of the signal.
            times: (a, b) for an operation that makes ``a`` elements of ``b``.

        Raises:
            NotLayered: if other arguments depend on the length, or the inputs' rates differ.
        """
        inputs = [self.numbers[node] for node in line.nodes[0].all_input_nodes if node in self.numbers]
        if any(number not in self.flows for number in inputs):
            raise NotLayered(f"{line.name} is applied in a way that is not known")
        if len({self.flows[number].rate for number in inputs}) > 1:
            raise NotLayered(f"{line.name} joins signals of different rates")
        up, down = times
        delay = -(-max(self.flows[number].delay for number in inputs) // down) * down
        aligned = {number: self.at(number, delay) for number in inputs}
        arguments = [bound(node) | dict(sizes or {}) for node in line.nodes]
        if _plain(arguments[0]) != _plain(arguments[1]):
            raise NotLayered(f"{line.name} has arguments that depend on the length of the signal")
        filled = self._template(arguments[0], aligned, _by_name(line.nodes[0].target))
        target = _without_copies(line.nodes[0].target)
        if line.shapes is None:
            flow = self.flows[inputs[0]].later(delay)
        else:
            flow = self.flow_of(line, delay * up // down)
            if flow.rate * down != self.flows[inputs[0]].rate * up:
                raise NotLayered(f"{line.name} changes the rate in a way that is not known")
        steady = all(self.flows[number].steady for number in inputs)
        number = self.give(line, Flow(flow.axis, flow.rate, flow.extra, flow.delay, steady))

        def call(values: Sequence[Made | None], clock: Clock) -> Made:
            positional, named = filled(values)
            return target(*positional, **named)

        self.step(number, Apply(call))

    def _template(
        self, arguments: Mapping[str, object], aligned: Mapping[int, int], keywords: Set[str]
    ) -> Callable[[Sequence[Made | None]], tuple[list[object], dict[str, object]]]:
        """A function that fills the arguments of an operation with values."""

        def numbered(node: fx.Node) -> Place:
            if node in self.numbers:
                return Place(aligned[self.numbers[node]])
            held = self._fixed[0][node]
            if not isinstance(held, Tensor):
                raise NotLayered("an operation makes several constants")
            number = self.number()
            self.constants[number] = (
                held.contiguous()
            )  # products with a few rows are twice as fast than with a turned matrix
            return Place(number)

        places = {name: _mapped(value, numbered) for name, value in arguments.items()}

        def filled(values: Sequence[Made | None]) -> tuple[list[object], dict[str, object]]:
            found = {name: _put(value, values) for name, value in places.items()}
            return [found[name] for name in found if name not in keywords], {name: found[name] for name in keywords}

        return filled


@dataclass(frozen=True)
class Place:
    """Where a value stands in the arguments of an operation."""

    number: int


def _mapped(argument: object, change: Callable[[fx.Node], Place]) -> object:
    if isinstance(argument, fx.Node):
        return change(argument)
    if isinstance(argument, list | tuple):
        return [_mapped(each, change) for each in argument]
    return argument


def _put(argument: object, values: Sequence[Made | None]) -> object:
    if isinstance(argument, Place):
        return values[argument.number]
    if isinstance(argument, list):
        return [_put(each, values) for each in argument]
    return argument


def _plain(argument: object) -> object:
    """An argument with nothing that names a node, to compare those of two graphs."""
    if isinstance(argument, fx.Node):
        return "a value"
    if isinstance(argument, Mapping):
        return {name: _plain(value) for name, value in argument.items()}
    return [_plain(each) for each in argument] if isinstance(argument, list | tuple) else argument


def bound(node: fx.Node) -> dict[str, object]:
    """The arguments of an operation by name, defaults included."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return {str(place): value for place, value in enumerate(node.args)}
    found: dict[str, object] = {}
    for place, argument in enumerate(node.target._schema.arguments):
        if place < len(node.args):
            found[argument.name] = node.args[place]
        elif argument.name in node.kwargs:
            found[argument.name] = node.kwargs[argument.name]
        elif argument.has_default_value():
            found[argument.name] = argument.default_value
    return found


def _by_name(target: object) -> frozenset[str]:
    """Arguments of an operation that are given by name only."""
    if not isinstance(target, torch._ops.OpOverload):
        return frozenset()
    return frozenset(argument.name for argument in target._schema.arguments if argument.kwarg_only)


def _without_copies(target: object) -> Callable[..., Made]:
    """The same operation as a view of its input, where it is one with a copy."""
    if isinstance(target, torch._ops.OpOverload):
        name = target._schema.name.removeprefix("aten::")
        if name in ("view_copy", "view", "_unsafe_view"):
            return cast("Callable[..., Made]", torch.ops.aten.reshape.default)
        if name.endswith("_copy") and name != "_to_copy":
            packet = getattr(torch.ops.aten, name.removesuffix("_copy"))
            return cast("Callable[..., Made]", getattr(packet, target._overloadname))
    return cast("Callable[..., Made]", target)


def with_axis(shape: Shape, axis: int, size: int) -> Shape:
    """A shape with another size of one dimension."""
    return (*shape[:axis], size, *shape[axis + 1 :])


def dtype_of(line: Line) -> torch.dtype:
    """The type of what a line makes."""
    made = line.nodes[0].meta["val"]
    assert isinstance(made, Tensor)
    return made.dtype


def _attribute(graph: fx.GraphModule, name: str) -> Tensor:
    found: object = operator.attrgetter(name)(graph)
    assert isinstance(found, Tensor)
    return found.detach()


def _filled(node: fx.Node, known: Mapping[fx.Node, object]) -> tuple[tuple[object, ...], dict[str, object]]:
    """The arguments of an operation on constants."""

    def value(argument: object) -> object:
        if isinstance(argument, fx.Node):
            return known[argument]
        return [value(each) for each in argument] if isinstance(argument, list | tuple) else argument

    return tuple(value(each) for each in node.args), {name: value(each) for name, each in node.kwargs.items()}


def _unknown(planner: Planner, line: Line) -> None:
    """For operations without a rule: those that work element by element."""
    target = line.nodes[0].target
    if isinstance(target, torch._ops.OpOverload) and torch.Tag.pointwise in target.tags:
        planner.apply(line)
        return
    raise NotLayered(f"there is no rule for the operation {line.name}")
