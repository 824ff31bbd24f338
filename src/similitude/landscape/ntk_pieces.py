"""Per-example gradients of one parameter: of the operations it enters, summed in its own coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from similitude.landscape.ntk_factors import Factors, Form, Rows, joined
from similitude.landscape.ntk_graph import Entry
from similitude.landscape.ntk_rules import Use, gradients

Cotangents = dict[tuple[Any, int], list[Tensor]]
"""Cotangents of an operation's result for each of C outputs, by node and number of the result."""


@dataclass(frozen=True)
class Piece:
    """Per-example gradients of a parameter, in its own coordinates or in those of an argument that it was moved to.

    Attributes:
        form: The gradients.
        order: For each entry of the parameter its place in the argument, from 1, 0 for none; None for the same places.
    """

    form: Form
    order: Tensor | None = None

    def own(self) -> Tensor:
        """Return the gradients in the parameter's coordinates: shape (n, C, entries)."""
        rows = self.form.rows()
        return rows if self.order is None else _reordered(rows, self.order)

    def total(self, weights: Tensor) -> Tensor:
        """Sum the gradients over examples with weights, in the parameter's coordinates."""
        total = self.form.total(weights)
        return total if self.order is None else _reordered(total, self.order)

    def beside(self, other: Piece) -> bool:
        """Whether both are in the same coordinates."""
        if self.order is None or other.order is None:
            return self.order is other.order
        return torch.equal(self.order, other.order)


Located = tuple[Piece, ...]
"""Per-example gradients of a parameter as a sum of pieces, no two of which are in the same entries."""


def structured(
    parameter: Tensor, entries: Sequence[Entry], cotangents: Cotangents, dtype: torch.dtype
) -> Located | None:
    """Return gradients by rules for the operations that a parameter enters; None where one has no rule."""
    if not entries or not all(entry.direct or entry.moved for entry in entries):
        return None
    uses: list[Piece] = []
    for entry in entries:
        form = entry_form(entry, cotangents, dtype)
        if form is None:
            return None
        uses.append(_piece(form, entry, parameter))
    pieces: list[list[Piece]] = []
    for use in uses:
        alike = (piece for piece in pieces if use.beside(piece[0]) and type(use.form) is type(piece[0].form))
        group = next(alike, None)
        if group is None:
            pieces.append([use])
        else:
            group.append(use)
    found = tuple(Piece(_joined([use.form for use in piece]), piece[0].order) for piece in pieces)
    return found if _apart(found) else (Piece(Rows(sum_rows(found))),)


def _joined(forms: Sequence[Form]) -> Form:
    factors = [form for form in forms if isinstance(form, Factors)]
    return joined(factors) if factors else Rows(torch.stack([form.rows() for form in forms]).sum(0))


def _apart(pieces: Located) -> bool:
    """Whether no two pieces are in the same entries of the parameter."""
    if len(pieces) == 1:
        return True
    orders = [piece.order for piece in pieces if piece.order is not None]
    return len(orders) == len(pieces) and bool(((torch.stack(orders) > 0).sum(0) <= 1).all())


def sum_rows(pieces: Located) -> Tensor:
    """Write out gradients in the parameter's coordinates: shape (n, C, entries)."""
    total, *others = (piece.own() for piece in pieces)
    for other in others:
        total = total + other
    return total


def _piece(form: Form, entry: Entry, parameter: Tensor) -> Piece:
    if entry.direct:
        return Piece(form)
    if entry.transposed and isinstance(form, Factors):
        return Piece(form.transposed())
    order = entry.order(parameter)
    plain = torch.arange(1, parameter.numel() + 1, device=order.device)
    if entry.shape.numel() == parameter.numel():
        if torch.equal(order, plain):
            return Piece(form)
        if isinstance(form, Factors) and form.shape[3] == 1:
            a, b = form.shape[4:]
            if torch.equal(order, plain.view(a, b).T.flatten()):
                return Piece(form.transposed())
    return Piece(form, order)


def entry_form(entry: Entry, cotangents: Cotangents, dtype: torch.dtype) -> Form | None:
    """Return the gradients of an argument by a rule; None where there is none."""
    if len(entry.layouts) != 1:
        return None
    ((number, layout),) = entry.layouts.items()
    stacked = layout.stacked(cotangents[entry.node, number], dtype)
    return gradients(Use(entry.node, entry.argument, entry.shape, stacked, layout))


def argument(
    entry: Entry,
    form: Form | None,
    cotangents: Cotangents,
    example: int,
    output: int,
    called: dict[Any, tuple[Tensor | None, ...]],
) -> Tensor | None:
    """Return the gradient of an argument for one output of one example; None for zero."""
    if form is not None:
        return form.row(example, output).view(entry.shape)
    if entry.node not in called:
        given: list[Tensor | None] = [None] * len(entry.node._input_metadata)  # type: ignore[attr-defined]
        for number, layout in entry.layouts.items():
            whole = cotangents[entry.node, number][output]
            masked = torch.zeros_like(whole, memory_format=torch.contiguous_format)
            layout.split(masked)[example] = layout.split(whole)[example]
            given[number] = masked
        results: Any = entry.node(*given)  # type: ignore[operator]
        called[entry.node] = results if isinstance(results, tuple) else (results,)
    part = called[entry.node][entry.argument]
    # Some operations give gradients of the repeated argument, and leave the sum to autograd.
    return None if part is None else plain(part).sum_to_size(entry.shape)


def _reordered(rows: Tensor, order: Tensor) -> Tensor:
    """Bring gradients of an argument, shape (..., entries), into the order of the parameter."""
    return torch.cat([torch.zeros_like(rows[..., :1]), rows], -1)[..., order]


def plain(tensor: Tensor) -> Tensor:
    """Return a gradient as a dense tensor."""
    return tensor.to_dense() if tensor.is_sparse else tensor
