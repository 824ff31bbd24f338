"""One pass of a model, and per-example gradients of its parameters by the cheapest route that autograd confirms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from similitude.core.errors import CurvatureError
from similitude.landscape.calls import Outputs, call, pick
from similitude.landscape.ntk_factors import Rows
from similitude.landscape.ntk_graph import Entry, Probe, probe
from similitude.landscape.ntk_pieces import (
    Cotangents,
    Located,
    Piece,
    argument,
    entry_form,
    plain,
    structured,
)
from similitude.landscape.vectors import ParameterSpace
from similitude.scaling.axes import some

Route = Literal["structured", "rows", "outputs", "unused"]
_BATCH = 2**26
"""Elements of rows that are compared with autograd at once."""


@dataclass(frozen=True)
class Pass:
    """A pass of a model with its graph kept.

    Attributes:
        outputs: Shape (n, ...).
        space: The trainable parameters.
        probe: Where parameters meet examples.
        dtype: Of the gradients.
        routes: How each parameter's gradients are taken, by name.
        written: Entries of gradients that are written out for each output, by name.
    """

    outputs: Tensor
    space: ParameterSpace
    probe: Probe
    dtype: torch.dtype
    routes: dict[str, Route]
    written: dict[str, int]

    def entries(self, names: Iterable[str]) -> list[Entry]:
        """Return where some parameters enter."""
        leaves = {id(self.parameter(name)) for name in names}
        return [entry for entry in self.probe.entries if entry.leaves & leaves]

    def parameter(self, name: str) -> nn.Parameter:
        """Return a parameter by name."""
        return self.space.tensors[self.space.names.index(name)]

    def bytes(self, name: str, outputs: int) -> int:
        """Estimate the memory that a parameter's gradients need, for a number C of outputs."""
        if self.routes[name] == "unused":
            return 0
        held = sum(_numel(entry) for entry in self.entries([name])) if self.routes[name] != "outputs" else 0
        written = self.written.get(name, self.parameter(name).numel() * len(self.outputs))
        return torch.finfo(self.dtype).bits // 8 * outputs * (2 * held + written)

    def located(self, names: Sequence[str], directions: Tensor) -> dict[str, Located]:
        """Return the gradients of some parameters.

        Args:
            names: Of the parameters; those of route "unused" are left out of what is returned.
            directions: C directions of the outputs, shape (C, ...): the gradients are those of their dot products.
        """
        found: dict[str, Located] = {}
        by = {
            route: [n for n in names if self.routes[n] == route]
            for route in ("structured", "rows", "outputs")
        }
        cotangents = self._cotangents(self.entries([*by["structured"], *by["rows"]]), directions)
        for name in by["structured"]:
            located = structured(self.parameter(name), self.entries([name]), cotangents, self.dtype)
            if located is None:
                raise AssertionError(f"the route of {name} changed between two passes over one graph")
            found[name] = located
        if by["rows"]:
            found |= self._by_rows(by["rows"], cotangents, len(directions))
        if by["outputs"]:
            found |= self._by_outputs(by["outputs"], directions)
        return found

    def _cotangents(self, entries: Sequence[Entry], directions: Tensor) -> Cotangents:
        keys = list({(entry.node, number): None for entry in entries for number in entry.layouts})
        if not keys:
            return {}
        edges = [GradientEdge(*key) for key in keys]
        stacks: list[list[Tensor]] = [[] for _ in keys]
        for direction in directions:
            found = torch.autograd.grad(
                self.outputs,
                edges,
                direction.expand_as(self.outputs),
                retain_graph=True,
                allow_unused=True,
                materialize_grads=False,
            )
            for stack, key, part in zip(stacks, keys, found, strict=True):
                shape = key[0]._input_metadata[key[1]].shape  # type: ignore[attr-defined]
                stack.append(self.outputs.new_zeros(tuple(shape)) if part is None else part)
        return dict(zip(keys, stacks, strict=True))

    def _by_rows(self, names: Sequence[str], cotangents: Cotangents, outputs: int) -> dict[str, Located]:
        """Go through the rows of the Jacobian, each from the operations that the parameters enter."""
        parameters = [self.parameter(name) for name in names]
        entries = self.entries(names)
        forms = [entry_form(entry, cotangents, self.dtype) for entry in entries]
        n = len(self.outputs)
        rows = [torch.zeros(n, outputs, p.numel(), dtype=self.dtype, device=p.device) for p in parameters]
        places = {id(p): number for number, p in enumerate(parameters)}
        for example in range(n):
            for output in range(outputs):
                edges, parts, called = [], [], {}
                for entry, form in zip(entries, forms, strict=True):
                    part = argument(entry, form, cotangents, example, output, called)
                    if part is None:
                        continue
                    if entry.direct:
                        (leaf,) = entry.leaves
                        rows[places[leaf]][example, output] += part.flatten()
                    else:
                        edges.append(entry.edge)
                        parts.append(part)
                if not edges:
                    continue
                given = torch.autograd.grad(edges, parameters, parts, retain_graph=True, allow_unused=True)
                for row, part in zip(rows, given, strict=True):
                    if part is not None:
                        row[example, output] += plain(part).flatten()
        return {name: (Piece(Rows(row)),) for name, row in zip(names, rows, strict=True)}

    def _by_outputs(self, names: Sequence[str], directions: Tensor) -> dict[str, Located]:
        """Go through the rows of the Jacobian by a backward pass each."""
        parameters = [self.parameter(name) for name in names]
        n = len(self.outputs)
        rows = [
            torch.zeros(n, len(directions), p.numel(), dtype=self.dtype, device=p.device) for p in parameters
        ]
        for example in range(n):
            for output, direction in enumerate(directions):
                cotangent = torch.zeros_like(self.outputs)
                cotangent[example] = direction
                given = torch.autograd.grad(
                    self.outputs, parameters, cotangent, retain_graph=True, allow_unused=True
                )
                for row, part in zip(rows, given, strict=True):
                    if part is not None:
                        row[example, output] = plain(part).flatten()
        return {name: (Piece(Rows(row)),) for name, row in zip(names, rows, strict=True)}


def run_pass(
    model: nn.Module, inputs: Any, space: ParameterSpace, *, outputs: Outputs | None, seed: int
) -> Pass:
    """Run a model, and find for each parameter a route to its per-example gradients that gives what autograd gives.

    Args:
        model: The model; call this where its passes leave nothing behind.
        inputs: What it takes.
        space: Its trainable parameters.
        outputs: Picks the outputs.
        seed: Seeds the comparison.

    Raises:
        CurvatureError: The outputs cannot be told, are not finite, or depend on no trainable parameter.
    """
    with torch.enable_grad():
        result = pick(call(model, inputs), outputs)
    if not result.requires_grad:
        raise CurvatureError(
            f"the model's outputs depend on none of its {len(space.names)} trainable parameters as far as autograd sees. "
            "Look for .detach() or torch.no_grad() inside the model."
        )
    with torch.no_grad():
        probed = probe(result, space.tensors, seed=seed)
        given = {
            name: None if g is None else plain(g).flatten()
            for name, g in zip(space.names, probed.gradients, strict=True)
        }
        _check_finite(given)
        routes: dict[str, Route] = dict.fromkeys(space.names, "unused")
        dtype = torch.promote_types(result.dtype, torch.float32)
        tried = Pass(result, space, probed, dtype, routes, {})
        _choose(tried, given)
        return replace(tried, probe=replace(probed, gradients=()))


def _choose(tried: Pass, given: dict[str, Tensor | None]) -> None:
    """Set the routes: of each parameter the first that agrees with autograd for random weights."""
    direction = tried.probe.direction
    wanted = {name: g for name, g in given.items() if g is not None and g.any()}
    scale = max((float(g.norm()) for g in wanted.values()), default=0.0)

    def agrees(located: Located, name: str) -> bool:
        weights = tried.probe.weights.to(tried.dtype)
        total = torch.stack([piece.total(weights) for piece in located]).sum(0)
        written = sum(p.form.values[:, 0].numel() for p in located if isinstance(p.form, Rows))
        tried.written[name] = written
        return _agrees(total, wanted[name], scale)

    cotangents = tried._cotangents(tried.entries(wanted), direction)
    for name in wanted:
        located = structured(tried.parameter(name), tried.entries([name]), cotangents, tried.dtype)
        tried.routes[name] = "structured" if located is not None and agrees(located, name) else "outputs"
    for names in _batches(tried, [name for name in wanted if tried.routes[name] == "outputs"]):
        # A torch.autograd.Function of Python has no backward pass that can be called by itself.
        if all(callable(entry.node) for entry in tried.entries(names)):
            rows = tried._by_rows(names, cotangents, 1)
            tried.routes.update({name: "rows" for name, located in rows.items() if agrees(located, name)})


def _batches(tried: Pass, names: Sequence[str]) -> Iterable[list[str]]:
    """Cut a list of parameters where their rows would fill the memory; one whose entry cannot be called is alone."""
    batch: list[str] = []
    size = 0
    for name in names:
        entries = tried.entries([name])
        if not entries:
            continue
        rows = tried.parameter(name).numel() * len(tried.outputs)
        alone = not all(callable(entry.node) for entry in entries)
        if batch and (alone or size + rows > _BATCH):
            yield batch
            batch, size = [], 0
        batch.append(name)
        size += rows
        if alone:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _agrees(total: Tensor, given: Tensor, scale: float) -> bool:
    """Whether a sum of rows is what autograd gave, up to rounding; models in float64 may compute in float32 inside."""
    tolerance = max(torch.finfo(given.dtype).eps ** 0.5, 1e-6)
    given = given.to(total)
    return float((total - given).norm()) <= tolerance * max(float(given.norm()), 1e-3 * scale)


def _check_finite(given: dict[str, Tensor | None]) -> None:
    bad = [name for name, g in given.items() if g is not None and not g.isfinite().all()]
    if bad:
        raise CurvatureError(
            f"the gradient of the outputs with respect to {some(bad)} is not finite, although the outputs are: an "
            "operation has no derivative at this point, such as sqrt or norm at zero."
        )


def _numel(entry: Entry) -> int:
    metadata: Any = entry.node._input_metadata  # type: ignore[attr-defined]
    return sum(torch.Size(metadata[number].shape).numel() for number in entry.layouts)
