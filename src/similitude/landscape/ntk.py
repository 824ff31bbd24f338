"""The empirical neural tangent kernel K = sum over parameters of (df_ic/dθ) . (df_jd/dθ), exact, without the Jacobian."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from similitude.core.citation import cites
from similitude.core.errors import CurvatureError
from similitude.core.seeding import torch_generator
from similitude.landscape.calls import Outputs
from similitude.landscape.gram import Gram
from similitude.landscape.ntk_factors import Rows, gram
from similitude.landscape.ntk_pass import Pass, run_pass
from similitude.landscape.ntk_pieces import Located, Piece, sum_rows
from similitude.landscape.undisturbed import undisturbed
from similitude.landscape.vectors import ParameterSpace
from similitude.scaling.axes import some
from similitude.scaling.matching import unwrapped

Kind = Literal["full", "trace"]
_SCRATCH = 2**16, 2**25
"""Fewest and most elements of gradients that are formed at once."""


@cites(21, "the tangent kernel of the abstract, at finite width")
def ntk_gram(
    model: nn.Module,
    inputs: Any,
    *,
    other: Any = None,
    outputs: Outputs | None = None,
    of: Kind | int = "full",
    rates: Mapping[str, float] | Optimizer | None = None,
    by_layer: bool = False,
    memory: int = 2 * 2**30,
    seed: int = 0,
) -> Gram:
    """Compute the empirical neural tangent kernel of a model on examples.

    The kernel is a sum over parameters, and each one's part follows from what the operations that use it saw and from
    the cotangents of their results: for a linear layer the product of two small Gram matrices. The operations are read
    off autograd's graph, so functional calls, tied weights, several uses, windows and time-major layouts need no adapter;
    every parameter's part is compared with autograd for random weights and, should it differ, taken row by row. Batch
    normalization in train mode couples the examples; below it, rows are taken one by one too, which is exact and slow.

    Args:
        model: Any module; its mode, buffers, gradients and generators are left as they are.
        inputs: Inputs of n examples as the model takes them: a tensor, a tuple of arguments, a dict of keyword arguments.
        other: Inputs of m other examples, for the kernel between the two.
        outputs: Takes what the model returns and gives the outputs, of shape (n, C...); by default the tensor itself, the
            `logits` of what was returned, or the only real tensor in it.
        of: "full" for all C outputs; "trace" for the mean over outputs of each output's own kernel; a number k for an
            unbiased estimate of that by k random sums of outputs, at the cost of k outputs.
        rates: Multiplies every parameter's part: learning rates by parameter name, or an optimizer whose groups have
            them. The kernel is then that of the speed at which gradient descent moves the function.
        by_layer: Whether each parameter's own kernel is kept.
        memory: Bytes that kernels, cotangents and gradients may take, beside the graph of one pass.
        seed: Seeds random layers, random sums and the comparison with autograd.

    Returns:
        The kernel: shape (n C, m C), ordered (example, output), or (n, m), in float32 or the model's wider dtype.

    Raises:
        CurvatureError: The model has no trainable parameter, its outputs have no axis of examples or are not finite, a
            rate is missing, or more memory would be needed.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 2.0]])
        >>> ntk_gram(nn.Linear(2, 1), x).matrix.tolist()  # x . x' + 1, whatever the weights are
        [[2.0, 2.0], [2.0, 6.0]]

    Source: Jacot, Gabriel, Hongler, arXiv 1806.07572, eq. of Θ in section 4; contraction by layers as in Novak,
        Sohl-Dickstein, Schoenholz, arXiv 2206.08720, section 3.

    Cost: C + 5 backward passes (k + 5 for k random sums) and, for a linear layer on vectors, 2 (n C)^2 (width + 1)
        operations. Memory for the matrix three times, and the cotangents of C outputs where parameters enter.
    """
    _check_kind(of)
    plain = unwrapped(model)
    space = ParameterSpace.of(plain)
    weights = None if rates is None else _rates(rates, space)
    with ExitStack() as stack:
        stack.enter_context(undisturbed(plain, seed=seed))
        first = run_pass(plain, inputs, space, outputs=outputs, seed=seed)
        second = first
        if other is not None:
            stack.enter_context(undisturbed(plain, seed=seed))  # random layers draw again what they drew
            second = run_pass(plain, other, space, outputs=outputs, seed=seed)
        stack.enter_context(torch.no_grad())
        return _sum(first, second, of=of, weights=weights, by_layer=by_layer, memory=memory, seed=seed)


def _sum(
    first: Pass,
    second: Pass,
    *,
    of: Kind | int,
    weights: Mapping[str, float] | None,
    by_layer: bool,
    memory: int,
    seed: int,
) -> Gram:
    shape = first.outputs.shape[1:]
    if second.outputs.shape[1:] != shape:
        raise CurvatureError(
            f"the outputs on inputs have shape {tuple(first.outputs.shape)}, on other {tuple(second.outputs.shape)}: a "
            "kernel is between the same outputs. Give inputs of one length."
        )
    columns = shape.numel() if of == "full" else 1
    size = len(first.outputs) * columns, len(second.outputs) * columns
    passes = (first,) if second is first else (first, second)
    names = [n for n in first.space.names if all(one.routes[n] != "unused" for one in passes)]
    width = torch.finfo(first.dtype).bits // 8
    held = size[0] * size[1] * width * (3 + (len(names) if by_layer else 0))
    needs = {name: sum(one.bytes(name, columns) for one in passes) for name in names}
    _check_memory(held, needs, memory, first, of=of, by_layer=by_layer)
    scratch = min(max((memory - held) // (8 * width), _SCRATCH[0]), _SCRATCH[1])

    matrix = torch.zeros(size, dtype=first.dtype, device=first.outputs.device)
    layers = {name: torch.zeros_like(matrix) for name in names} if by_layer else {}
    traces = dict.fromkeys(names, 0.0)

    def add(name: str, mine: Located, theirs: Located, share: float) -> None:
        rate = share if weights is None else share * weights[name]
        part = _kernel(mine, theirs, scratch).to(matrix.device)
        matrix.add_(part, alpha=rate)
        if second is first:
            traces[name] += rate * float(part.diagonal().sum(dtype=torch.float64))
        if by_layer:
            layers[name].add_(part, alpha=rate)

    pieces = _directions(shape, of, first.outputs, seed)
    for directions in pieces:
        for group in _groups(needs, memory - held):
            mine = first.located(group, directions)
            theirs = mine if second is first else second.located(group, directions)
            for name in group:
                add(name, mine[name], theirs[name], 1 / len(pieces))
    unused = {name: 0.0 for name in first.space.names if name not in traces}
    return Gram(
        matrix,
        of,
        columns,
        {name: (traces | unused)[name] for name in first.space.names} if second is first else {},
        layers,
        {name: first.routes[name] for name in first.space.names},
        weights,
    )


def _kernel(first: Located, second: Located, scratch: int) -> Tensor:
    """Return one parameter's kernel."""
    if len(first) != len(second) or not all(a.beside(b) for a, b in zip(first, second, strict=True)):
        first, second = (Piece(Rows(sum_rows(first))),), (Piece(Rows(sum_rows(second))),)
    total, *others = (gram(a.form, b.form, scratch=scratch) for a, b in zip(first, second, strict=True))
    for other in others:
        total += other
    return total


def _directions(shape: torch.Size, of: Kind | int, like: Tensor, seed: int) -> list[Tensor]:
    """Return directions of the outputs, piece by piece; the kernel is the mean over the pieces."""
    c = shape.numel()
    if isinstance(of, int):
        # The mean over outputs of K_cc is E[r' K r] / C for random signs r.
        signs = torch.randint(2, (of, c), generator=torch_generator(seed, "random sums of outputs"))
        drawn = (2.0 * signs - 1).div_(c**0.5).to(like)
        return [row.view(1, *shape) for row in drawn]
    if of == "full":
        return [torch.eye(c, dtype=like.dtype, device=like.device).view(c, *shape)]
    return [torch.eye(1, c, dtype=like.dtype, device=like.device).roll(i).view(1, *shape) for i in range(c)]


def _groups(needs: Mapping[str, int], most: int) -> Iterator[list[str]]:
    """Cut the parameters into groups whose gradients fit into the memory together."""
    group: list[str] = []
    size = 0
    for name, need in needs.items():
        if group and size + need > most // 2:
            yield group
            group, size = [], 0
        group.append(name)
        size += need
    if group:
        yield group


def _check_kind(of: Kind | int) -> None:
    if of in ("full", "trace") or (isinstance(of, int) and not isinstance(of, bool) and of > 0):
        return
    raise CurvatureError(
        f"of={of!r} is no form of the kernel. Pass 'full', 'trace' or a positive number of random sums of outputs."
    )


def _check_memory(
    held: int, needs: Mapping[str, int], memory: int, first: Pass, *, of: Kind | int, by_layer: bool
) -> None:
    name = max(needs, key=lambda key: needs[key], default=None)
    most = 0 if name is None else needs[name]
    if held + most <= memory:
        return
    n, c = len(first.outputs), first.outputs[0].numel()
    if held > memory:
        what = f"its matrix and temporary ones of that size {_size(held)}"
    else:
        what = f"its matrix {_size(held)} and the gradients of {name!r} {_size(most)}"
    ways = ["take fewer examples"]
    if name is not None and held <= memory and first.routes[name] != "structured":
        what += (
            ", which are written out because examples meet (batch normalization) or the tensor is computed"
        )
        ways.append("put the model into eval mode")
    ways += ["leave out by_layer=True"] if by_layer else []
    ways += ["take of='trace', or of=8 for random sums of outputs"] if of == "full" and c > 1 else []
    ways.append("raise memory=")
    raise CurvatureError(
        f"the kernel ({of!r}) of {n} examples x {c} outputs needs {what}, more than memory={_size(memory)}. Either "
        f'{", or ".join(ways)}. Curvature(...).top(of="ntk") gives leading eigenvalues without a matrix.'
    )


def _size(count: int) -> str:
    return f"{count / 2**30:.3g} GB"


def _rates(rates: Mapping[str, float] | Optimizer, space: ParameterSpace) -> dict[str, float]:
    """Read learning rates by parameter name."""
    if isinstance(rates, Optimizer):
        by_id = {id(p): float(group["lr"]) for group in rates.param_groups for p in group["params"]}
        rates = {
            name: by_id[id(p)] for name, p in zip(space.names, space.tensors, strict=True) if id(p) in by_id
        }
    if missing := [name for name in space.names if name not in rates]:
        raise CurvatureError(
            f"rates have none for {some(missing)}. Give a learning rate for each of the {len(space.names)} trainable "
            "parameters by name, or the optimizer that trains them."
        )
    return {name: float(rates[name]) for name in space.names}
