"""Wide copies of a module at one width: drawn anew by seed, their outputs, and the gradients of one of their outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map_only

from similitude.core.errors import KernelError
from similitude.core.seeding import derive, seeded, torch_generator
from similitude.kernels.devices import CPU
from similitude.kernels.monte_carlo_law import WidthLaw
from similitude.kernels.program import converted, resized
from similitude.kernels.samples import count, rows, signature
from similitude.kernels.verify import output_tensor
from similitude.scaling.axes import build
from similitude.scaling.dataflow.passes import call_of

_BYTES = 2**28
"""Most memory of the gradients of a block of samples."""

_FORWARD = 4
"""Copies whose outputs are averaged, per copy whose gradients are."""

_TINY = 1e-300
_SAME = 1e-4  # relative difference of outputs that is rounding


@dataclass(frozen=True)
class Sums:
    """Means over copies.

    Attributes:
        mean: The mean, (n1, n2).
        error: Its standard error, from pairs of copies that look at the same output.
        apart: Variance of the logarithm of one copy's diagonal among those that look at the same output, by pair:
            (pairs, n).
    """

    mean: Tensor
    error: Tensor
    apart: Tensor


@dataclass(eq=False)
class WideCopies:
    """Copies of a family's member of one width. `wide_copies` makes them.

    Attributes:
        net: The module that is drawn anew.
        width: Its width.
        deviations: Standard deviation of an entry of every parameter that is drawn.
        rates: Learning rates of the parameters that are trained.
        couples: Whether samples of a batch change each other's outputs, as batch norm in training mode makes them.
        batched: Whether gradients of many samples can be taken at once.
        seed: Seed of the draws: equal for equal copies.
    """

    net: nn.Module
    width: int
    deviations: Mapping[str, float]
    rates: Mapping[str, float]
    couples: bool
    batched: bool
    seed: int
    _zeros: dict[str, Tensor] = field(default_factory=dict, repr=False)
    _outputs: dict[str, int] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name, p in self.net.named_parameters():
            p.requires_grad_(name in self.rates)
            kept = p.detach() != 0
            if name in self.deviations and bool(kept.any()) and not bool(kept.all()):
                self._zeros[name] = kept  # e.g. the row of padding

    @property
    def trained(self) -> dict[str, Tensor]:
        """Parameters that are trained, by name."""
        return {name: p for name, p in self.net.named_parameters() if name in self.rates}

    @property
    def block(self) -> int:
        """Samples whose gradients are held at once."""
        numbers = sum(p.numel() * p.element_size() for p in self.trained.values())
        return max(1, _BYTES // max(1, 2 * numbers))

    def nngp(self, x1: Any, x2: Any, copies: int) -> Sums:
        """Return products of outputs, averaged over all outputs and over `_FORWARD` times as many copies."""

        def product(index: int) -> Tensor:
            self.draw(index)
            one = self.outputs(x1)
            two = one if x2 is None else self.outputs(x2)
            return one @ two.T / one.shape[1]

        return _sums(product, _FORWARD * copies)

    def ntk(self, x1: Any, x2: Any, copies: int, *, only: Sequence[str] | None = None) -> Sums:
        """Return products of gradients of one output, another one for every pair of copies.

        Args:
            x1: Inputs.
            x2: More inputs; x1 itself where None.
            copies: Copies, an even number.
            only: Parameters that count; all where None.
        """
        names = [name for name in self.rates if only is None or name in only]
        shape = (count(x1), count(x1 if x2 is None else x2))

        def product(index: int) -> Tensor:
            self.draw(index)
            found = torch.zeros(shape, dtype=self._dtype, device=self.device)
            if not names:
                return found
            place = self.place(x1, index)
            for i in range(0, shape[0], self.block):
                one = self._gradients(x1, i, names, place)
                for j in range(i if x2 is None else 0, shape[1], self.block):
                    two = (
                        one
                        if x2 is None and j == i
                        else self._gradients(x1 if x2 is None else x2, j, names, place)
                    )
                    part = one @ two.T
                    found[i : i + len(one), j : j + len(two)] = part
                    if x2 is None and j > i:
                        found[j : j + len(two), i : i + len(one)] = part.T
            return found

        return _sums(product, copies)

    def draw(self, index: int) -> None:
        """Draw the copy of a number."""
        generator = torch_generator(self.seed, "copy", index)
        with torch.no_grad():
            for name, p in self.net.named_parameters():
                if name in self.deviations:
                    # Drawn in single precision, which takes a third of the time.
                    p.copy_(torch.randn(p.shape, generator=generator)).mul_(self.deviations[name])
                    if name in self._zeros:
                        p.mul_(self._zeros[name])

    def outputs(self, x: Any) -> Tensor:
        """Return the outputs of the copy that was drawn last: (n, outputs)."""
        with torch.no_grad():
            return self._call(self._as(x))

    def place(self, x: Any, index: int) -> int:
        """Return the output whose gradients a copy gives: the same one for both copies of a pair."""
        key = repr(signature(x))
        if key not in self._outputs:
            self._outputs[key] = self.outputs(x if self.couples else rows(x, 0, 1)).shape[1]
        number = self._outputs[key]
        order = torch.randperm(number, generator=torch_generator(self.seed, "outputs"))
        return int(order[(index // 2) % number])

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next((p.device for p in self.net.parameters()), CPU)

    @property
    def _dtype(self) -> torch.dtype:
        return next(p.dtype for p in self.net.parameters() if p.is_floating_point())

    def _converted(self, t: Tensor) -> Tensor:
        return t.to(self.device, self._dtype) if t.is_floating_point() else t.to(self.device)

    def _call(self, x: Any) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):  # the one of attention that has gradients of many samples at once
            return output_tensor(call_of(x, None)(self.net)).flatten(1)

    def _as(self, x: Any) -> Any:
        return tree_map_only(Tensor, self._converted, x)

    def _gradients(self, x: Any, start: int, names: Sequence[str], place: int) -> Tensor:
        """Return the gradients of one output on a block of samples, each times the root of its learning rate."""
        n = min(self.block, count(x) - start)
        parts = {name: p for name, p in self.trained.items() if name in names}
        if self.couples:
            found = self._one_by_one(self._as(x), range(start, start + n), parts, place)
        else:
            x = self._as(rows(x, start, start + n))
            if self.batched:
                found = self._at_once(x, parts, place)
            else:
                singles = [self._one_by_one(rows(x, i, i + 1), range(1), parts, place) for i in range(n)]
                found = [torch.cat(part) for part in zip(*singles, strict=True)]
        scaled = [
            part.flatten(1) * math.sqrt(self.rates[name]) for name, part in zip(parts, found, strict=True)
        ]
        return torch.cat(scaled, 1)

    def _one_by_one(self, x: Any, which: range, parts: Mapping[str, Tensor], place: int) -> list[Tensor]:
        found = []
        with torch.enable_grad():
            out = self._call(x)
            for i in which:
                grads: Sequence[Tensor | None] = [None] * len(parts)
                if out.requires_grad:
                    grads = torch.autograd.grad(
                        out[i, place], list(parts.values()), retain_graph=True, allow_unused=True
                    )
                found.append(
                    [
                        torch.zeros_like(p) if g is None else g
                        for g, p in zip(grads, parts.values(), strict=True)
                    ]
                )
        return [torch.stack(part) for part in zip(*found, strict=True)]

    def _at_once(self, x: Any, parts: Mapping[str, Tensor], place: int) -> list[Tensor]:
        def output(values: dict[str, Tensor], sample: Any) -> Tensor:
            call: Callable[[Any], Any] = call_of(tree_map_only(Tensor, lambda t: t[None], sample), None)
            with sdpa_kernel(SDPBackend.MATH):
                made = call(lambda *args, **kwargs: functional_call(self.net, values, args, kwargs))
            return output_tensor(made).flatten()[place]

        values = {name: p.detach() for name, p in parts.items()}
        return list(vmap(grad(output), in_dims=(None, 0))(values, x).values())


def wide_copies(
    make: Callable[..., nn.Module],
    width: int,
    law: WidthLaw,
    sample: Any,
    *,
    dtype: torch.dtype,
    seed: int,
    device: torch.device = CPU,
) -> WideCopies:
    """Build a family's member of one width, to be drawn many times.

    Args:
        make: The family.
        width: The width.
        law: How its parameters are drawn.
        sample: Inputs to see on how it runs: two or more samples that differ, if there are.
        dtype: Type that it computes in.
        seed: Seed of the draws, which are made on the CPU: the same everywhere.
        device: Where it computes.

    Raises:
        KernelError: It cannot be built or called, or draws random numbers when it is called.
    """
    net = converted(build(make, width, seed=derive(seed, "build", width)), dtype).to(device)
    own = WideCopies(net, width, law.deviations(net, width), law.rates(net, width), False, False, seed)
    own.draw(0)
    x = resized(sample, 3, dtype)
    try:
        with seeded(0):
            one = own.outputs(x)
        with seeded(1):
            two = own.outputs(x)
    except KernelError:
        raise
    except Exception as error:
        raise KernelError(
            f"the copy of width {width} cannot be called with the sample: {type(error).__name__}: {error}. Let make "
            "build every width, or pass copy_widths= that it can build."
        ) from error
    if _differ(one, two):
        raise KernelError(
            f"the copy of width {width} gives other outputs when it is called again: it draws random numbers (dropout in "
            "training mode, noise). Estimated kernels are of modules that do not; let make call .eval()."
        )
    own.couples = _couples(own, x, one)
    own.batched = not own.couples and _batches(own, x)
    return own


def _couples(own: WideCopies, x: Any, whole: Tensor) -> bool:
    try:
        return _differ(own.outputs(rows(x, 0, 2)), whole[:2])
    except Exception:  # e.g. batch norm of too few samples
        return True


def _batches(own: WideCopies, x: Any) -> bool:
    """Tell whether `torch.func` takes the gradients that autograd takes sample by sample."""
    names = list(own.rates)
    if not names:
        return False
    slow = own._gradients(x, 0, names, 0)
    own.batched = True
    try:
        return not _differ(own._gradients(x, 0, names, 0), slow)
    except Exception:  # whatever an operation without a batching rule raises
        return False


def _differ(one: Tensor, two: Tensor) -> bool:
    return one.shape != two.shape or float((one - two).norm()) > _SAME * float(one.norm() + two.norm())


def _sums(product: Callable[[int], Tensor], copies: int) -> Sums:
    """Average over copies in pairs."""
    total = square = torch.zeros(())
    apart: list[Tensor] = []
    for pair in range(copies // 2):
        one, two = product(2 * pair), product(2 * pair + 1)
        middle = (one + two) / 2
        total, square = total + middle, square + middle.square()
        logs = (part.diagonal().clamp_min(_TINY).log() for part in (one, two))
        apart.append((next(logs) - next(logs)).square() / 2)
    pairs = copies // 2
    mean = total / pairs
    variance = (square / pairs - mean.square()).clamp_min(0) * pairs / max(1, pairs - 1)
    return Sums(mean, (variance / pairs).sqrt(), torch.stack(apart))
