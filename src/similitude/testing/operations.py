"""The conformance kit for operations: what was claimed of one against its numbers, its plain equivalent, and roles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from similitude.core.errors import PlanError
from similitude.core.seeding import torch_generator
from similitude.scaling.dataflow.claims import Contracts, Elementwise, Homogeneous, Linear, Moves, Norm, Plain
from similitude.scaling.dataflow.operations import claim_of, schema_of
from similitude.scaling.plan import plan
from similitude.scaling.records import Plan
from similitude.testing.runs import fail

_FACTORS = (0.25, 3.0)  # positive numbers that an activation is multiplied by
_SCALE = 1e3  # of a normalization's input: far enough that its eps is nothing
_NUDGE = 0.5  # by which one entry is moved


class OperationTests:
    """Subclass it in a test file, name the operation and its plain equivalent, and pytest collects the tests.

    Attributes:
        operation: What `torch.library.custom_op` returned, or "package::name"; registered before the tests run
            (`similitude.register_operation`).
        base: Width of the network at the base.
        target: Width that is planned for.
        tolerance: Largest difference that counts as none, relative to the largest entry.

    Example:
        See `docs/extending.md`: three methods to write, `arguments`, `plain` and `network`.
    """

    operation: ClassVar[Any]
    base: ClassVar[int] = 16
    target: ClassVar[int] = 64
    tolerance: ClassVar[float] = 1e-5

    def arguments(self, draw: Callable[..., Tensor]) -> Sequence[Any]:
        """Return arguments of the operation, the activation among them.

        Args:
            draw: `draw(4, 16)` returns a new tensor of standard normal numbers of that shape.
        """
        raise NotImplementedError(
            f"write arguments(self, draw) in {type(self).__name__}: what the operation takes"
        )

    def plain(self, *arguments: Any) -> Any:
        """Do what the operation does, in plain torch operations."""
        raise NotImplementedError(f"write plain(self, ...) in {type(self).__name__}: the same in plain torch")

    def network(self, width: int, function: Callable[..., Any]) -> nn.Module:
        """Return a network that calls `function` where the operation stands; its input has the shape of `sample`."""
        raise NotImplementedError(f"write network(self, width, function) in {type(self).__name__}")

    def sample(self) -> Any:
        """Return what the network is called with; a batch of 4 vectors of 8 numbers unless overridden."""
        return torch.randn(4, 8, generator=torch_generator(0, "sample"))

    def test_is_registered(self) -> None:
        """Something was claimed of the operation."""
        if claim_of(self._operation()) is None:
            self._fail(
                "is not registered", "no claim of it is known", "Call similitude.register_operation first"
            )

    def test_equals_its_plain_form(self) -> None:
        """The operation and the plain function give the same numbers."""
        arguments = self._arguments(0)
        self._same(
            self._call(*arguments),
            self.plain(*arguments),
            "differs from plain(...)",
            "One of the two is wrong",
        )

    def test_does_what_is_claimed(self) -> None:
        """Its numbers obey the law of its claim, on random inputs."""
        claim = claim_of(self._operation())
        laws: dict[type, Callable[[Any], None]] = {
            Linear: self._linear,
            Homogeneous: self._homogeneous,
            Moves: self._moves,
            Elementwise: self._elementwise,
            Norm: self._norm,
            Contracts: self._contracts,
            Plain: self._plain,
        }
        if claim is None:
            self.test_is_registered()
            return
        laws[type(claim)](claim)

    def test_roles_stay_as_with_its_plain_form(self) -> None:
        """A plan gives every tensor the role, ratios and factors that it has with the plain function in its place."""
        with_it, without = self._planned(self._call), self._planned(self.plain)
        refused = {refusal.name: refusal.reason for refusal in with_it.refused}
        known = {row.name: row for row in with_it.rows}
        for row in without.rows:
            own = known.get(row.name)
            if own is None:
                reason = refused.get(row.name, "it has no row")
                self._fail(
                    f"hides {row.name}", f"its role is {row.role!r} with the plain form; {reason}", _REGISTER
                )
                return
            for what in ("role", "fan_in_ratio", "fan_out_ratio", "init", "lr", "eps", "multiplier"):
                found, expected = getattr(own, what), getattr(row, what)
                if found != expected:
                    self._fail(
                        f"changes the {what} of {row.name}",
                        f"found {found!r}, with the plain form {expected!r}",
                        _REGISTER,
                    )

    def test_works_without_values(self) -> None:
        """Shapes and types come out right on fake tensors and on the meta device, where plans build the target."""
        arguments = self._arguments(0)
        real = _tensors(self._call(*arguments))
        mode = FakeTensorMode(allow_non_fake_inputs=False)
        fake = [mode.from_tensor(a) if isinstance(a, Tensor) else a for a in arguments]
        meta = [a.to("meta") if isinstance(a, Tensor) else a for a in arguments]
        for kind, given in (("fake tensors", fake), ("the meta device", meta)):
            try:
                with mode if kind == "fake tensors" else torch.no_grad():
                    found = _tensors(self._call(*given))
            except Exception as error:
                self._fail(
                    f"does not run on {kind}",
                    f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
                    "Give it a fake: operation.register_fake(...)",
                )
                return
            for there, here in zip(found, real, strict=True):
                if (there.shape, there.dtype) != (here.shape, here.dtype):
                    self._fail(
                        f"gives another shape or type on {kind}",
                        f"{tuple(there.shape)} {there.dtype}, with values {tuple(here.shape)} {here.dtype}",
                        "Correct its register_fake",
                    )

    # -- the law of every claim -----------------------------------------------------------------------------

    def _linear(self, claim: Linear) -> None:
        at, (first, second) = self._activation(), (self._arguments(0), self._arguments(1))
        a, b = _FACTORS
        mixed = _with(first, at, a * first[at] - b * second[at])
        expected = [
            a * x - b * y
            for x, y in zip(
                _tensors(self._call(*first)), _tensors(self._call(*_with(first, at, second[at]))), strict=True
            )
        ]
        self._same(
            self._call(*mixed),
            expected,
            f"is registered as Linear, but f({a} x - {b} y) is not {a} f(x) - {b} f(y)",
            "Homogeneous lets a positive factor through, Elementwise none",
        )

    def _homogeneous(self, claim: Homogeneous) -> None:
        at, given = self._activation(), self._arguments(0)
        for factor in _FACTORS:
            expected = [factor * y for y in _tensors(self._call(*given)) if y.is_floating_point()]
            found = [
                y
                for y in _tensors(self._call(*_with(given, at, factor * given[at])))
                if y.is_floating_point()
            ]
            self._same(
                found,
                expected,
                f"is registered as Homogeneous, but f({factor} x) is not {factor} f(x)",
                "Register it as Elementwise, or by its plain function",
            )

    def _moves(self, claim: Moves) -> None:
        at, given = self._activation(), self._arguments(0)
        expected = [torch.tanh(y) for y in _tensors(self._call(*given))]
        self._same(
            self._call(*_with(given, at, torch.tanh(given[at]))),
            expected,
            "is registered as Moves, but changes values: f(tanh x) is not tanh f(x)",
            "Linear is for means and sums, Homogeneous for maxima",
        )

    def _elementwise(self, claim: Elementwise) -> None:
        at, given = self._activation(), self._arguments(0)
        x = given[at]
        before = _tensors(self._call(*given))[0]
        if before.shape != x.shape:
            self._fail(
                "is registered as Elementwise, but changes the shape",
                f"{tuple(x.shape)} -> {tuple(before.shape)}",
                "Register it by its plain function",
            )
        moved = x.clone()
        moved.view(-1)[x.numel() // 2] += _NUDGE
        after = _tensors(self._call(*_with(given, at, moved)))[0]
        changed = (after != before).sum().item()
        if changed > 1:
            self._fail(
                "is registered as Elementwise, but mixes entries",
                f"moving 1 entry of its input changes {changed} entries of its result",
                "Norm, or its plain function, says what it does",
            )

    def _norm(self, claim: Norm) -> None:
        at, given = self._activation(), self._arguments(0)
        operands = [
            i for i, a in enumerate(given) if i != at and isinstance(a, Tensor) and a.is_floating_point()
        ]
        given = _with(given, at, _SCALE * given[at])
        self._same(
            self._call(*_with(given, at, _FACTORS[1] * given[at])),
            self._call(*given),
            f"is registered as Norm, but f({_FACTORS[1]} x) is not f(x)",
            "Register it as Linear or Homogeneous, or by its plain function",
        )
        if not operands:
            return
        zero = list(given)
        for i in operands:
            zero[i] = torch.zeros_like(given[i])
        for kind, i in zip(("gain", "bias"), operands, strict=False):
            alone = _with(zero, i, given[i])
            found, doubled = self._call(*alone), self._call(*_with(alone, i, 2 * given[i]))
            moves = any(bool(y.any()) for y in _tensors(found))
            expected = [2 * y for y in _tensors(found)]
            what = f"is registered as Norm, but its operand number {i} is no {kind}"
            if not moves:
                self._fail(
                    what, "its result is 0 with it alone", "Operands stand in the order input, gain, bias"
                )
            self._same(doubled, expected, what, "Operands stand in the order input, gain, bias")
            other = self._call(*_with(alone, at, self._arguments(1)[at] * _SCALE))
            follows = not _near(_tensors(other), _tensors(found), self.tolerance)
            if follows != (kind == "gain"):
                law = "follows" if follows else "does not follow"
                self._fail(
                    what,
                    f"what it gives alone {law} the input",
                    "Operands stand in the order input, gain, bias",
                )

    def _contracts(self, claim: Contracts) -> None:
        names = [argument.name for argument in schema_of(self._operation()).arguments]
        x, w = names.index(claim.x), names.index(claim.weight)
        given = list(self._arguments(0))
        if claim.bias is not None and names.index(claim.bias) < len(given):
            given[names.index(claim.bias)] = torch.zeros_like(given[names.index(claim.bias)])
        whole = self._call(*given)
        for operand, name in ((x, claim.x), (w, claim.weight)):
            expected = [2.0 * y for y in _tensors(whole)]
            self._same(
                self._call(*_with(given, operand, 2.0 * given[operand])),
                expected,
                f"is registered as Contracts, but is not linear in {name!r}",
                "Register it by its plain function",
            )
        first = [dims if isinstance(dims, int) else dims[0] for dims in claim.over]
        sizes = [given[operand].shape[dim] for operand, dim in ((x, first[0]), (w, first[1]))]
        if sizes[0] != sizes[1]:
            self._fail(
                f"is registered as Contracts over {claim.over}",
                f"the sides that are summed over have {sizes[0]} and {sizes[1]} entries",
                "Name the dimensions of the activation and of the weight that belong together",
            )
        without_x = self._call(*_with(given, x, _without(given[x], first[0])))
        without_w = self._call(*_with(given, w, _without(given[w], first[1])))
        self._same(
            without_x,
            without_w,
            f"is registered as Contracts over {claim.over}, but dropping an index of {claim.x!r} is not dropping it of "
            f"{claim.weight!r}",
            "Name the dimensions of the activation and of the weight that belong together",
        )
        kept = claim.kept if isinstance(claim.kept, int) else claim.kept[0]
        y = _tensors(self._call(*_with(given, w, _without(given[w], kept))))[0]
        dropped, count = int((y == 0).sum()), given[w].shape[kept]
        if dropped * count != y.numel():
            self._fail(
                f"is registered as Contracts with kept={claim.kept}",
                f"without one of {count} indices of that side {dropped} of {y.numel()} results are 0",
                "Name the dimension of the weight that the result runs over",
            )

    def _plain(self, claim: Plain) -> None:
        given = self._arguments(0)
        self._same(
            self._call(*given),
            claim.function(*given),
            "is registered by a function that does something else",
            "The function is traced in the operation's place",
        )

    # -- helpers --------------------------------------------------------------------------------------------

    def _operation(self) -> Any:
        return type(self).operation

    def _call(self, *arguments: Any) -> Any:
        operation = self._operation()
        if isinstance(operation, str):
            package, _, name = operation.partition("::")
            operation = getattr(getattr(torch.ops, package), name)
        return operation(*arguments)

    def _arguments(self, seed: int) -> list[Any]:
        generator = torch_generator(seed, "arguments")
        return list(self.arguments(lambda *shape: torch.randn(*shape, generator=generator)))

    def _activation(self) -> int:
        """Return where the activation stands: the first tensor of numbers with a fraction."""
        for i, argument in enumerate(self._arguments(0)):
            if isinstance(argument, Tensor) and argument.is_floating_point():
                return i
        raise PlanError(
            f"arguments of {type(self).__name__} hold no floating-point tensor, but an operation is tested on one. "
            "Return draw(...) for the activation."
        )

    def _planned(self, function: Callable[..., Any]) -> Plan:
        return plan(
            lambda n: self.network(n, function), base=self.base, target=self.target, sample=self.sample()
        )

    def _same(self, found: Any, expected: Any, what: str, remedy: str) -> None:
        here, there = _tensors(found), _tensors(expected)
        shapes = [tuple(t.shape) for t in here], [tuple(t.shape) for t in there]
        if shapes[0] != shapes[1]:
            self._fail(what, f"shapes are {shapes[0]} and {shapes[1]}", remedy)
        if not _near(here, there, self.tolerance):
            off = max(_off(a, b) for a, b in zip(here, there, strict=True))
            self._fail(what, f"off by {off:.2g} of the largest entry, more than {self.tolerance:g}", remedy)

    def _fail(self, what: str, law: str, remedy: str) -> None:
        fail(f"operation {schema_of(self._operation()).name} {what}", law, remedy)


_REGISTER = "Register what it does: similitude.register_operation"


def _tensors(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else [t for t in value if isinstance(t, Tensor)]


def _with(arguments: Sequence[Any], at: int, value: Any) -> list[Any]:
    return [value if i == at else a for i, a in enumerate(arguments)]


def _without(tensor: Tensor, dim: int) -> Tensor:
    """Return a tensor whose first index along a dimension is dropped: set to zero."""
    found = tensor.clone()
    found.select(dim, 0).zero_()
    return found


def _off(found: Tensor, expected: Tensor) -> float:
    largest = float(expected.double().abs().max()) if expected.numel() else 0.0
    off = float((found.double() - expected.double()).abs().max()) if expected.numel() else 0.0
    return off / largest if largest else off


def _near(found: list[Tensor], expected: list[Tensor], tolerance: float) -> bool:
    return all(_off(a, b) <= tolerance for a, b in zip(found, expected, strict=True))
