"""How wide copies of a module are drawn, and how training weighs their parameters: one law for all widths of a family."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from similitude.core.errors import KernelError, SimilitudeError
from similitude.core.seeding import derive
from similitude.kernels.gradients import frozen
from similitude.kernels.labels import Unmatched
from similitude.kernels.program import resized
from similitude.kernels.readouts import Readouts
from similitude.kernels.scales import ManyDraws, ScaleTable
from similitude.scaling.axes import build
from similitude.scaling.dataflow.facts import CONSTANT
from similitude.scaling.dataflow.structure import Structure, TensorUse, study


@dataclass(frozen=True)
class TensorLaw:
    """How one parameter is drawn at every width.

    Attributes:
        variance: Variance of an entry at the recorded width.
        rate: Its learning rate there.
        shape: Its shape there.
        contracted: Dimensions that its fan-in is the product of; empty where its entries do not sum.
        power: Power of the width by which the forward pass multiplies what it gives.
        begins: Whether it begins at a number other than 0, which copies keep.
    """

    variance: float
    rate: float
    shape: tuple[int, ...]
    contracted: tuple[int, ...]
    power: float
    begins: bool = False

    def ratio(self, shape: tuple[int, ...], widths: float) -> float:
        """Return the variance of an entry in a wider copy over that at the recorded width.

        Args:
            shape: Shape of the parameter in the copy.
            widths: Width of the copy over the recorded width.
        """
        fans = math.prod(shape[d] / self.shape[d] for d in self.contracted)
        return widths ** (-2 * self.power) / fans


@dataclass(frozen=True)
class WidthLaw:
    """How the parameters of a family are drawn at every width: what a use of each gives keeps its size.

    Attributes:
        width: The recorded width.
        tensors: Laws by name; parameters that begin at one number keep it, and are not trained.
        notes: How variances were told, by name.
        operations: Operations of the recorded pass.
        rule: Learning rates of the tangent kernel, in words.
    """

    width: int
    tensors: Mapping[str, TensorLaw]
    notes: Mapping[str, str]
    operations: tuple[str, ...]
    rule: str

    def deviations(self, net: nn.Module, width: int) -> dict[str, float]:
        """Return the standard deviation of an entry of every parameter that is drawn, in a copy of some width."""
        return {n: math.sqrt(t.variance * r) for n, t, r in self._at(net, width) if not t.begins}

    def rates(self, net: nn.Module, width: int) -> dict[str, float]:
        """Return the learning rate of every parameter that is trained, in a copy of some width."""
        return {n: t.rate * r for n, t, r in self._at(net, width) if t.rate > 0}

    def _at(self, net: nn.Module, width: int) -> Iterator[tuple[str, TensorLaw, float]]:
        for name, p in net.named_parameters():
            found = self.tensors.get(name)
            if found is not None:
                yield name, found, found.ratio(tuple(p.shape), width / self.width)


def width_law(
    make: Callable[..., nn.Module],
    sample: object,
    widths: tuple[int, int],
    *,
    rule: str,
    weight_variance: float | None,
    bias_variance: float | None,
    seed: int,
) -> WidthLaw:
    """Tell how wide copies of a family are drawn from its own initial values at the recorded width.

    A matrix keeps its variance times fan-in, what is looked up or added keeps its variance, each times the squared
    powers of the width that the forward pass has itself. That is the law of the exact kernel, except that the roles of
    the parameters are told from the dataflow of the plan, which needs no rule for the operations between.

    Args:
        make: The family.
        sample: Inputs.
        widths: The two recorded widths.
        rule: A rule of the plan's table, for the learning rates.
        weight_variance: Variance times fan-in of every matrix, instead of what its values say.
        bias_variance: Variance of every bias, likewise.
        seed: Seed of the builds.

    Raises:
        KernelError: The family cannot be traced, a fan-in cannot be told, or initial values are no draws of one law.
    """

    def at(width: int) -> nn.Module:
        return build(make, width, seed=seed).to(torch.float32)

    small, large = widths
    x = resized(sample, 2, torch.float32)
    try:
        found = study(at, x, base={"width": small}, target={"width": large}, loss=None, seed=seed)
    except SimilitudeError as error:
        raise KernelError(f"it cannot be told how wide copies are drawn: {error}") from error
    first, wider = at(small), at(large)
    size = sum(p.numel() for p in first.parameters())
    scales = ScaleTable(
        {name: p.detach() for name, p in first.named_parameters()},
        ManyDraws(make, small, seed, size, large),
        {name: p.detach() for name, p in wider.named_parameters()},
        weight_variance,
        bias_variance,
        rule,
        frozen(first),
    )
    uses = _Uses(found)
    again = dict(build(make, small, seed=derive(seed, "again")).named_parameters())
    entered: dict[str, tuple[str, TensorUse | None]] = {}
    for name, values in scales.parameters.items():
        if name in scales.frozen and torch.equal(again[name].detach().to(values.dtype), values):
            continue  # a table that someone wrote down
        entry = _enter(uses, scales, name)
        if entry is not None:
            entered[name] = entry
    scales.weigh(uses.readouts(), uses.sums_of_biases())
    laws = {
        name: TensorLaw(
            scales.variance[name, role] / scales.fans[name, role],
            scales.rate[name, role] / scales.fans[name, role],
            tuple(scales.parameters[name].shape),
            () if use is None or use.fans is None else use.fans.fan_in.dims,
            0.0 if use is None else uses.power(use),
            role == "bias" and scales.start(name) != 0,
        )
        for name, (role, use) in entered.items()
    }
    notes = {name: scales.notes[name, role] + uses.said(name) for name, (role, _) in entered.items()}
    operations = tuple(f"{node.op} {node.module}" for node in found.flow.trace.nodes)
    return WidthLaw(small, laws, notes, operations, scales.words(str(small)))


class _Uses:
    """Uses of the parameters in the plan's dataflow, as far as they tell how each is drawn."""

    def __init__(self, found: Structure) -> None:
        self._found = found
        self._logits = frozenset[int]().union(*(a.origin for a in found.attention))

    def of(self, name: str) -> list[TensorUse]:
        return [u for u in self._found.uses.get(name, ()) if CONSTANT not in u.how and u.index >= 0]

    def power(self, use: TensorUse) -> float:
        # Powers before attention's softmax are no part of a layer's scale: they decide which limit it is.
        return 0.0 if use.index in self._logits else use.exponent

    def sums(self, use: TensorUse) -> bool:
        """Tell whether a use sums over entries whose number grows."""
        growing = self._found.growing.get(self._name(use), frozenset())
        return use.fans is not None and bool(growing & set(use.fans.fan_in.dims))

    def leading(self, name: str) -> TensorUse | None:
        """Return the use that tells how a parameter is drawn.

        A table keeps the size of its rows, also where it is a matrix elsewhere. Of several matrices the one that asks for
        the largest entries counts: where another one then grows with the width, that is seen.
        """
        uses = self.of(name)
        tables = [u for u in uses if u.kind == "lookup"]
        return max(tables or uses, key=lambda u: -float(self.sums(u)) - 2 * self.power(u), default=None)

    def said(self, name: str) -> str:
        kinds = {(self.sums(u), self.power(u)) for u in self.of(name) if u.kind in ("contract", "lookup")}
        return "; used in several ways" if len(kinds) > 1 else ""

    def layer(self, bias: TensorUse | None) -> tuple[int, bool]:
        """Return the fan-in of the layer that a bias is added behind, and whether it grows; 1 where there is none."""
        flow = self._found.flow
        if bias is not None:
            own = flow.uses[bias.index]
            near = {u.index for u in flow.uses if u.node == own.node}
            before = flow.facts[own.operand].carriers if own.operand >= 0 else None
            matrices = [u for each in self._found.uses.values() for u in each if u.fans is not None]
            for several in (near, before or ()):
                for use in matrices:
                    if use.index in several and use.fans is not None:
                        shape = flow.trace.shapes[self._name(use)]
                        return round(use.fans.fan_in.size(shape)), self.sums(use)
        return 1, False

    def sums_of_biases(self) -> set[frozenset[str]]:
        """Return the biases that are added to one another, as both of a recurrent layer are."""
        flow = self._found.flow
        found: set[frozenset[str]] = set()
        for use in flow.uses:
            before = flow.facts[use.operand].carriers if use.kind == "bias" and use.operand >= 0 else None
            names = {
                name for i in before or () if flow.uses[i].kind == "bias" for name in flow.uses[i].weight.dims
            }
            if names:
                found.add(frozenset(names | set(use.weight.dims)))
        return found

    def readouts(self) -> Readouts:
        """Tell which parameters make the outputs."""
        flow = self._found.flow
        last = {i for value in flow.trace.outputs[:1] for i in flow.facts[value].origin}
        ends = [u for each in self._found.uses.values() for u in each if u.index in last]
        growing = self._found.growing
        grows = any(
            growing.get(self._name(u), frozenset()) & set(u.fans.fan_out.dims)
            for u in ends
            if u.fans is not None
        )
        return Readouts(frozenset() if grows else frozenset(map(self._name, ends)), grows)

    def _name(self, use: TensorUse) -> str:
        return next(iter(self._found.flow.uses[use.index].weight.dims))


def _enter(uses: _Uses, scales: ScaleTable, name: str) -> tuple[str, TensorUse | None] | None:
    """Enter a parameter; return the role that it has, with the use that tells, or None where it stays as it is built."""
    constant = scales.constant(name)
    use = uses.leading(name)
    if constant is not None and not (scales.trains_zeros and use is not None and _trained(use, constant)):
        return None
    values = scales.parameters[name]
    for each in uses.of(name):
        if each.kind == "contract" and each.fans is None:
            raise KernelError(
                f"parameter '{name}' in module '{each.module}': {each.problem}, so that it cannot be told how wide "
                "copies are drawn. Use a layer whose sides are dimensions of its matrix."
            )
    try:
        if use is not None and use.fans is not None:
            scales.matrix(name, round(use.fans.fan_in.size(tuple(values.shape))), grows=uses.sums(use))
            return "matrix", use
        if values.dim() == 1:
            fan, grows = uses.layer(use)
            scales.bias(name, fan, grows=grows)
            return "bias", use
        scales.rows(name, _padding(values))
        return "rows", use
    except Unmatched as error:
        raise KernelError(f"parameter '{name}': {error}.") from error


def _trained(use: TensorUse, constant: float) -> bool:
    """Tell whether a parameter that begins at one number is trained: a bias of a layer, a matrix of zeros."""
    return use.kind == "bias" or (constant == 0 and use.kind == "contract")


def _padding(values: Tensor) -> int | None:
    """Return the one row of zeros of a table, if there is one."""
    zero = (~values.flatten(1).any(1)).nonzero().flatten()
    return int(zero) if len(zero) == 1 and len(values) > 1 else None
