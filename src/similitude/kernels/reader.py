"""Reads a recorded program operation by operation: each becomes a wide value, or a step that computes finite ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map_only

from similitude.core.errors import KernelError
from similitude.kernels.facts import Fact, Finite, Logits, Lost, Noise, Weight
from similitude.kernels.labels import (
    NEURON,
    POSITION,
    SAMPLE,
    Axis,
    Factor,
    Layout,
    Unmatched,
    flat,
    positions,
)
from similitude.kernels.program import Op, PerSample, Program
from similitude.kernels.refusals import no_rule
from similitude.kernels.run import Run, gathered, spread
from similitude.kernels.scales import ScaleTable
from similitude.kernels.values import Coefficient, Leaf, Linear, Mix, Operator, Wide
from similitude.kernels.zero_matrices import is_contracted
from similitude.scaling.dataflow.trace import Ref

Rule = Callable[["Reader", Op], None]
_ATTENTION = (
    "_scaled_dot_product_flash_attention_for_cpu",
    "scaled_dot_product_attention",
)  # tagged for their dropout
RULES: dict[str, Rule] = {}
"""Rules by the name of an operation; operations of finite values alone need none."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register the rule of some operations."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


@dataclass(frozen=True)
class Line:
    """One line of what `explain` tells: an operation, its rule, and how exact it is."""

    index: int
    op: str
    module: str
    rule: str
    exactness: str
    value: Wide | None = None


@dataclass
class Reader:
    """State of the reading.

    Attributes:
        program: What is read.
        scales: Variances of the parameters.
        facts: What is known of every value so far.
        steps: What each operation does to a run.
        lines: What each operation became.
        couples: Whether samples of a batch change each other's values.
        watches: Whether the module's own code reads numbers that depend on the input.
        blocked: Why there is no tangent kernel, where there is none.
    """

    program: Program
    scales: ScaleTable
    facts: dict[int, Fact] = field(default_factory=dict)
    steps: list[Callable[[Run], None]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    couples: bool = False
    watches: bool = False
    blocked: str = ""
    _line: tuple[str, str] = ("", "exact")
    _remembered: dict[int, Tensor] = field(default_factory=dict)

    def read(self) -> None:
        """Read all operations.

        Raises:
            KernelError: One has no rule.
        """
        import similitude.kernels.rules  # noqa: F401  (registers them)

        for value in self.program.values:
            if value.kind == "parameter":
                self.facts[value.index] = self._parameter(value.index, value.name)
            elif value.kind != "computed":
                self.facts[value.index] = Finite(
                    value.index, self.fresh(value.index, samples=value.kind == "input")
                )
        for op in self.program.ops:
            before = len(self.steps)
            self._line = ("", "exact")
            try:
                self._read(op)
            except (Unmatched, KernelError) as error:
                if isinstance(error, KernelError) and error.refusal is not None:
                    raise
                raise no_rule(op, str(error).rstrip(".")) from error
            except (AssertionError, ArithmeticError, RuntimeError) as error:
                raise no_rule(
                    op, f"it cannot be read at infinite width ({type(error).__name__}: {error})"
                ) from error
            if len(self.steps) == before:
                self.steps.append(_nothing)
            self._note(op)

    @property
    def numbers(self) -> int:
        """Numbers per pair of samples of the largest covariance: the square of its positions where they are mixed."""
        wides = [f for f in self.facts.values() if isinstance(f, Wide)]
        mixes = any(isinstance(t.atom, Mix | Operator) for f in wides for t in f.terms)
        largest = max((f.positions for f in wides), default=1)
        return largest**2 if mixes else largest

    def widths(self) -> list[int]:
        """Return the numbers of neurons that are read as infinite."""
        found = [
            t.atom.fan_in // (1 if t.atom.taps is None else t.atom.taps.number)
            for f in self.facts.values()
            if isinstance(f, Wide)
            for t in f.terms
            if isinstance(t.atom, Linear) and isinstance(t.atom.source, Wide)
        ]
        return sorted(set(found))

    def renamed(self, other: Reader) -> dict[str, str]:
        """Return what another reading of the same module calls the parameters: by their order."""
        return dict(zip(self.program.parameters, other.program.parameters, strict=True))

    def _note(self, op: Op) -> None:
        name, exactness = self._line
        found = self.facts.get(op.node.outputs[0]) if op.node.outputs else None
        if name and not isinstance(found, Finite):
            value = found if isinstance(found, Wide) else None
            self.lines.append(Line(op.node.index, op.node.op, op.node.module, name, exactness, value))

    def says(self, name: str, exactness: str = "exact") -> None:
        """Tell which rule the operation at hand follows, for `explain`."""
        self._line = (name, exactness)

    def _read(self, op: Op) -> None:
        if op.node.op == "input":
            return
        facts = [self.facts[i] for i in op.node.inputs]
        lost = next((f for f in facts if isinstance(f, Lost)), None)
        if lost is not None:
            if op.node.op == "alias_write":
                self.put(op, lost)
                return
            self.refuse(op, lost.reason)
        if op.node.op == "alias_write":
            from similitude.kernels.rules_join import alias_write

            try:
                alias_write(self, op)
            except (Unmatched, KernelError) as error:  # other views of what was written are seldom read again
                self.put(op, Lost(f"it reads what a write in place changed: {error}"))
            return
        if op.name in ("mean", "sum") and any(isinstance(f, Logits) and f.softmax for f in facts):
            self.put(op, Lost("it reads attention weights, which are random"))
            return
        handler = RULES.get(op.name)
        if any(isinstance(f, Noise) for f in facts) or op.name in ("bernoulli", "native_dropout"):
            if handler is None:
                self.refuse(op, "what it does to random numbers has no rule", estimable=False)
            handler(self, op)
        elif all(isinstance(f, Finite) for f in facts):
            self.replay(op)
        elif handler is not None:
            handler(self, op)
        else:
            from similitude.kernels.rules_entrywise import entrywise

            entrywise(self, op)

    def refuse(self, op: Op, reason: str, remedy: str = "", *, estimable: bool = True) -> NoReturn:
        """Refuse an operation; say whether wide copies may tell the kernel all the same."""
        raise no_rule(op, reason, remedy, estimable=estimable)

    # Values ------------------------------------------------------------------------------------------------------

    def shapes(self, index: int) -> tuple[tuple[int, ...], ...]:
        """Return a value's shapes in all passes."""
        return self.program.shapes[index]

    def out_sizes(self, op: Op, dim: int, output: int = 0) -> tuple[int, ...]:
        """Return the sizes of an axis of an operation's output in all passes."""
        return tuple(shape[dim] for shape in self.shapes(op.node.outputs[output]))

    def fact(self, argument: Any) -> Fact | float | None:
        """Return what an argument is: a fact, or a number."""
        if isinstance(argument, Ref):
            return self.facts[argument.value]
        return argument

    def number(self, argument: Any) -> float | None:
        """Return the number that an argument is everywhere, if it is a constant."""
        if isinstance(argument, bool | int | float):
            return float(argument)
        if isinstance(argument, Ref):
            found = self.facts[argument.value]
            if isinstance(found, Finite) and not self._depends(found.index):
                seen = self.seen(found.index)
                if seen is not None and seen.numel() and bool((seen == seen.flatten()[0]).all()):
                    return float(seen.flatten()[0])
        return None

    def growth(self, op: Op, argument: Any) -> float:
        """Return by how much a number among an operation's arguments changes from the smaller width to the larger."""
        if op.wider is None:
            return 1.0
        here = self.number(argument)
        if isinstance(argument, Ref):
            there = self.program.items[argument.value]
        else:
            places = [i for i, a in enumerate(op.args) if a is argument]
            found = op.wider.args[places[0]] if places else None
            there = float(found) if isinstance(found, int | float) else None
        return 1.0 if not here or not there else there / here

    def seen(self, index: int) -> Tensor | None:
        """Return a finite value of the recorded pass, if it does not depend on averages over neurons."""
        return self._remembered.get(index, self.program.seen.get(index))

    def remember(self, index: int, values: Tensor) -> None:
        """Set what a finite value of the recorded pass counts as."""
        self._remembered[index] = values

    def _depends(self, index: int) -> bool:
        return index in self._dependent

    @property
    def _dependent(self) -> set[int]:
        """Finite values that depend on the input."""
        found = self.__dict__.get("_of_data")
        if found is None:
            found = self.__dict__["_of_data"] = set(self.program.inputs)
        return found

    def finite(self, op: Op, output: int, layout: Layout | None, compute: Callable[[Run], Tensor]) -> None:
        """Make an output of an operation a finite value that depends on averages over neurons."""
        index = op.node.outputs[output]
        self._dependent.add(index)
        self.facts[index] = Finite(index, layout)

        def step(run: Run) -> None:
            run.values[index] = compute(run)

        self.steps.append(step)

    def constant(self, op: Op, layout: Layout | None, number: float) -> None:
        """Make the output of an operation one number that depends on nothing."""
        (index,) = op.node.outputs
        shapes = self.shapes(index)
        self.facts[index] = Finite(index, layout)

        def step(run: Run) -> None:
            sizes = [a if a == b else run.samples * a // 2 for a, b in zip(shapes[0], shapes[1], strict=True)]
            run.values[index] = torch.full(sizes, number, dtype=run.dtype, device=run.device)

        self.steps.append(step)

    def put(self, op: Op, fact: Fact, output: int = 0) -> None:
        """Make an output of an operation a value."""
        self.facts[op.node.outputs[output]] = fact
        # An operation that writes in place gives a new value to the tensor that it writes.

    def _parameter(self, index: int, name: str) -> Fact:
        constant = self.scales.constant(name)
        if constant is not None and not (constant == 0 and is_contracted(self.program, index)):
            return Finite(index, self.fresh(index, samples=False))
        tensor = self.program.parameters[name]
        return Weight(name, torch.arange(tensor.numel()).reshape(tensor.shape))

    def as_weight(self, finite: Finite, layer: Wide) -> Weight | None:
        """Return a constant parameter that is the bias of a layer as a random one, whose variance is given."""
        value = self.program.values[finite.index]
        if (
            value.kind != "parameter"
            or len(value.shape) != 1
            or not any(isinstance(t.atom, Linear) for t in layer.terms)
        ):
            return None
        return Weight(value.name, torch.arange(value.shape[0]))

    def fresh(self, index: int, *, samples: bool = True) -> Layout:
        """Label the axes of a value by what its sizes do between the passes."""
        axes: list[Axis] = []
        for sizes in zip(*self.shapes(index), strict=True):
            if all(n == 1 for n in sizes):
                axes.append(())
            elif sizes[0] != sizes[1]:
                axes.append((Factor(SAMPLE, sizes),) if samples or sizes[0] == 2 else ())
            elif len(set(sizes)) > 1:
                axes.append((Factor(NEURON, sizes),))
            else:
                axes.append((Factor(POSITION, sizes),))
        return tuple(axes)

    # Finite values -----------------------------------------------------------------------------------------------

    def replay(self, op: Op) -> None:
        """Compute an operation of finite values as the module does."""
        if op.func is None:
            return
        if torch.Tag.nondeterministic_seeded in getattr(op.func, "tags", ()) and op.name not in _ATTENTION:
            self.refuse(
                op, "random numbers in the forward pass other than dropout have no rule", estimable=False
            )
        shape_alone = op.name.startswith("new_") or op.name.endswith("_like")
        if any(self._depends(i) for i in op.node.inputs) and not shape_alone:
            self._dependent.update(op.node.outputs)
            if not op.node.outputs and op.name in ("item", "_local_scalar_dense"):
                self._watch(op)
                return
        from similitude.kernels.layouts import finite_layouts

        for index, layout in zip(op.node.outputs, finite_layouts(self, op), strict=True):
            self.facts[index] = Finite(index, layout)

        def step(run: Run) -> None:
            made = _call(op, run)
            tensors = [t for t in tree_flatten(made)[0] if isinstance(t, Tensor)]
            for index, tensor in zip(op.node.outputs, tensors, strict=False):
                run.values[index] = tensor

        self.steps.append(step)

    def _watch(self, op: Op) -> None:
        """Refuse inputs for which a number that the module's Python code reads is another one than when recorded."""
        index = op.node.inputs[0]
        before = self.seen(index)
        self.watches = True

        def step(run: Run) -> None:
            now = run.value(index)
            if (
                before is not None
                and now.numel() == 1
                and before.numel() == 1
                and float(now) != float(before)
            ):
                self.refuse(
                    op,
                    f"the module's code reads the number {float(now):g} of these inputs, and {float(before):g} of the "
                    "sample, so that it may take another path",
                    "Make the path the same for all inputs.",
                    estimable=False,
                )

        self.steps.append(step)

    # Coefficients ------------------------------------------------------------------------------------------------

    def coefficient(
        self, op: Op, finite: Finite, layout: Layout, order: Sequence[Factor]
    ) -> Coefficient | None:
        """Return a finite value as a coefficient of a wide one; None where it differs from neuron to neuron."""
        number = self.number(Ref(finite.index))
        if number is not None:
            return Coefficient(number)
        if self.varies(finite, layout):
            return None

        def read(run: Run) -> Tensor:
            try:
                return gathered(run, run.value(finite.index), layout, order).to(run.dtype)
            except ValueError:
                self.refuse(
                    op,
                    "on these inputs a finite value differs from neuron to neuron, and on the sample it did not",
                )

        return Coefficient(1.0, (Leaf(read),))

    def varies(self, finite: Finite, layout: Layout) -> bool:
        """Tell whether a finite value differs along the axis of neurons of a layout that it broadcasts against."""
        shape = self.shapes(finite.index)[0]
        missing = len(layout) - len(shape)
        dims = [i - missing for i, axis in enumerate(layout) if any(f.kind == NEURON for f in axis)]
        dims = [d for d in dims if d >= 0 and shape[d] > 1]
        if not dims:
            return False
        seen = self.seen(finite.index)
        if seen is None:
            return True
        (dim,) = dims
        axis = layout[dim + missing]
        cut = seen.movedim(dim, -1).unflatten(-1, [f.size for f in axis])
        neuron = next(i for i, f in enumerate(axis) if f.kind == NEURON) - len(axis)
        return not torch.equal(cut, cut.select(neuron, 0).unsqueeze(neuron).expand_as(cut))

    def physical(
        self, values: Callable[[Run], Tensor], layout: Layout, order: Sequence[Factor]
    ) -> Callable[[Run], Tensor]:
        """Return what computes numbers per sample and position as the module's tensor, one entry per axis of neurons."""
        return lambda run: spread(run, values(run), layout, order)


def neuron_of(value: Wide) -> Factor | None:
    """Return the factor of neurons of a wide value."""
    return next((f for f in flat(value.layout) if f.kind == NEURON), None)


def axis_of_neurons(value: Wide) -> int | None:
    """Return the axis with the neurons of a wide value."""
    return next((i for i, axis in enumerate(value.layout) if any(f.kind == NEURON for f in axis)), None)


def stored(layout: Layout) -> tuple[Factor, ...]:
    """Return factors of positions in physical order, as a new value stores them."""
    return positions(layout)


def _call(op: Op, run: Run) -> Any:
    def argument(x: Any) -> Any:
        if isinstance(x, torch.device):  # that of the recorded pass, where a tensor is made
            return run.device
        return run.value(x.value) if isinstance(x, Ref) else x.base + x.slope * run.samples

    args, kwargs = tree_map_only((Ref, PerSample, torch.device), argument, (op.args, op.kwargs))
    assert op.func is not None, "operations of the recorder itself are not replayed"
    return op.func(*args, **kwargs)


def _nothing(run: Run) -> None:
    del run
