"""Per-example gradients of the tensors that single operations use, from their inputs and cotangents.

The operations are autograd's nodes, whatever module or function called them. One that has no rule here is not an error:
its gradients are then taken row by row.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from similitude.landscape.ntk_factors import Factors, Form, Part, Rows, dense_part, one_hot


@dataclass(frozen=True)
class Layout:
    """Where the examples are in a tensor.

    Attributes:
        examples: Number n of examples.
        axis: The axis that holds them.
        inner: Entries of that axis per example.
        major: Whether the axis runs over one example after another, rather than over all examples again and again.
    """

    examples: int
    axis: int
    inner: int
    major: bool

    def split(self, tensor: Tensor) -> Tensor:
        """Return a view with the examples first: shape (n, ...), what is left of their axis in its place."""
        sizes = (self.examples, self.inner) if self.major else (self.inner, self.examples)
        return tensor.unflatten(self.axis, sizes).movedim(self.axis + (not self.major), 0)

    def stacked(self, tensors: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
        """Split every one of C tensors and put them side by side: shape (n, C, ...)."""
        return torch.stack([self.split(tensor).to(dtype) for tensor in tensors], 1)


@dataclass(frozen=True)
class Use:
    """An argument of an operation, with the cotangents of the operation's result.

    Attributes:
        node: Autograd's node of the operation; its saved tensors are read.
        argument: Which argument.
        shape: Its shape.
        cotangents: Shape (n, C, ...), the examples split off by `layout`.
        layout: Where the examples are in the operation's result.
    """

    node: Any
    argument: int
    shape: torch.Size
    cotangents: Tensor
    layout: Layout

    def saved(self, name: str) -> Tensor:
        """Return a tensor that the operation saved, with the examples of its result split off: shape (n, ...)."""
        return self.layout.split(getattr(self.node, f"_saved_{name}").to(self.cotangents.dtype))


def gradients(use: Use) -> Form | None:
    """Return the per-example gradients of an argument; None where there is no rule for the operation.

    What a rule gives is compared with autograd before it is trusted.
    """
    rule = _RULES.get(use.node.name())
    if rule is None or (use.node.name().startswith("Native") and use.argument == 0):
        return None  # the input of a norm is no gain or bias
    try:
        return rule(use)
    except (AttributeError, RuntimeError, IndexError, ValueError):
        return None  # what the node saves differs between versions of PyTorch: then there is no rule


def _addmm(use: Use) -> Form | None:
    node = use.node
    if use.argument == 0:
        return _summed(use, use.cotangents * node._saved_beta)
    return _product(use, use.argument - 1, "mat1", "mat2", node._saved_alpha)


def _mm(use: Use) -> Form | None:
    return _product(use, use.argument, "self", "mat2", 1)


def _product(use: Use, side: int, first: str, second: str, scale: complex) -> Form | None:
    """Return gradients of one factor of a matrix product (.., k, a) @ (.., a, b) whose other axis holds the examples."""
    if use.layout.axis != len(use.shape) - 1 - side:
        return None
    cotangents = use.cotangents * scale if scale != 1 else use.cotangents
    if side == 1:  # x @ W: rows of W belong to the other factor, columns to the cotangent
        return _outer(use.saved(first)[:, None], cotangents, use)
    other = use.saved(second)[:, None]
    return _outer(cotangents.transpose(-1, -2), other.transpose(-1, -2), use)


def _mv(use: Use) -> Form | None:
    """Return gradients of v in A @ v."""
    if use.argument != 1:
        return None
    return Rows((use.saved("self")[:, None] * use.cotangents[..., None]).sum(2))


def _outer(left: Tensor, right: Tensor, use: Use) -> Factors:
    """Pair sides of shape (n, C or 1, T, a) or, of batched products, (n, C or 1, groups, T, a)."""
    left, right = (t.unsqueeze(-2) if t.ndim == 4 else t.transpose(2, 3) for t in (left, right))
    return _paired(dense_part(left), dense_part(right), use.cotangents, left.shape[2:], right.shape[-1])


def _paired(
    left: Part, right: Part, cotangents: Tensor, shape: Sequence[int], b: int, index: Tensor | None = None
) -> Factors:
    t, groups, a = shape
    return Factors(left, right, (cotangents.shape[0], cotangents.shape[1], t, groups, a, b), index)


def _convolution(use: Use) -> Form | None:
    node, layout = use.node, use.layout
    if layout.axis != 0:
        return None
    outward = use.cotangents  # n, C, inner, channels, *positions
    if use.argument == 2:
        return Rows(outward.flatten(4).sum((2, 4)))
    if use.argument != 1:
        return None
    inward = use.saved("input")[:, None]
    fixed, patched = (inward, outward) if node._saved_transposed else (outward, inward)
    groups, kernel = node._saved_groups, use.shape[2:]
    settings = _Patches(
        tuple(kernel),
        tuple(node._saved_stride),
        tuple(node._saved_padding),
        tuple(node._saved_dilation),
        groups,
        tuple(fixed.shape[4:]),
    )
    flat = fixed.flatten(4).movedim(3, -1).flatten(2, 3).unflatten(-1, (groups, -1))
    b = patched.shape[3] // groups * math.prod(kernel)
    return _paired(dense_part(flat), settings.of(patched), outward, flat.shape[2:], b)


@dataclass(frozen=True)
class _Patches:
    """What the kernel of a convolution sees at each position.

    Attributes:
        kernel: Its shape.
        stride: By axis, as are the following two.
        padding: Zeros on either end.
        dilation: Distance of neighbouring entries of the kernel.
        groups: Groups of channels.
        positions: Shape of the result.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    positions: tuple[int, ...]

    def of(self, images: Tensor) -> Part:
        """Return patches as a side of outer products, from images (n, C, inner, channels, ...)."""
        return lambda lo, hi: self.cut(images[lo:hi])

    def cut(self, images: Tensor) -> Tensor:
        """Return the patches of images (n, C, inner, channels, ...): shape (n, C, T, groups, channels x kernel)."""
        n, c, _, channels, *_ = images.shape
        padded = F.pad(images, [width for size in reversed(self.padding) for width in (size, size)])
        # Strided views, one for each entry of the kernel; the positions may end before the image does.
        entries = [
            padded[
                (
                    ...,
                    *(
                        slice(o, o + (p - 1) * s + 1, s)
                        for o, p, s in zip(at, self.positions, self.stride, strict=True)
                    ),
                )
            ]
            for at in itertools.product(
                *(range(0, k * d, d) for k, d in zip(self.kernel, self.dilation, strict=True))
            )
        ]
        patches = torch.stack(entries, 4).flatten(
            5
        )  # n, C, inner, channels, entries of the kernel, positions
        patches = patches.permute(0, 1, 2, 5, 3, 4).reshape(
            n, c, -1, self.groups, channels // self.groups, len(entries)
        )
        return patches.flatten(4)


def _embedding(use: Use) -> Form | None:
    node = use.node
    index = node._saved_indices
    if node._saved_scale_grad_by_freq or use.layout.axis >= index.ndim:
        return None
    size = use.shape[0]
    index = use.layout.split(index).flatten(1)
    if node._saved_padding_idx >= 0:
        index = torch.where(index == node._saved_padding_idx, -1, index)
    right = use.cotangents.flatten(2, -2)[:, :, :, None]
    left = one_hot(index, size, right.dtype)
    return _paired(left, dense_part(right), right, (index.shape[1], 1, size), right.shape[-1], index)


def _layer_norm(use: Use) -> Form | None:
    if use.argument == 2:
        return _summed(use, use.cotangents)
    normal = use.saved("input") - use.saved("result1")
    return _summed(use, use.cotangents * (normal * use.saved("result2"))[:, None])


def _group_norm(use: Use) -> Form | None:
    if use.layout.axis != 0:
        return None
    outward = use.cotangents.flatten(4) if use.cotangents.ndim > 4 else use.cotangents[..., None]
    if use.argument == 2:
        return Rows(outward.sum((2, 4)))
    node = use.node
    n, _, inner, channels, _ = outward.shape
    groups = node._saved_group
    mean, rstd = (
        use.layout.split(t.to(outward.dtype).view(n * inner, groups, 1))[..., None]
        for t in (node._saved_result1, node._saved_result2)
    )
    inward = use.saved("input").reshape(n, inner, groups, channels // groups, -1)
    normal = ((inward - mean) * rstd).reshape(n, 1, inner, channels, -1)
    return Rows((outward * normal).sum((2, 4)))


def _batch_norm(use: Use) -> Form | None:
    node, outward = use.node, use.cotangents
    if use.layout.axis != 0:
        return None
    outward = outward.flatten(4) if outward.ndim > 4 else outward[..., None]
    if use.argument == 2:
        return Rows(outward.sum((2, 4)))
    if node._saved_training:
        mean, rstd = node._saved_result1, node._saved_result2
    else:
        mean, rstd = node._saved_running_mean, (node._saved_running_var + node._saved_eps).rsqrt()
    inward = use.saved("input").reshape(*outward.shape[:1], 1, *outward.shape[2:])
    normal = (inward - mean.to(outward.dtype)[:, None]) * rstd.to(outward.dtype)[:, None]
    return Rows((outward * normal).sum((2, 4)))


def _add(use: Use) -> Form | None:
    return _summed(use, use.cotangents * (use.node._saved_alpha if use.argument == 1 else 1))


def _sub(use: Use) -> Form | None:
    return _summed(use, use.cotangents * (-use.node._saved_alpha if use.argument == 1 else 1))


def _mul(use: Use) -> Form | None:
    other = getattr(use.node, "_saved_self" if use.argument == 1 else "_saved_other")
    rest = list(use.cotangents.shape[2:])
    rest[use.layout.axis] *= use.layout.examples
    other = use.layout.split(other.to(use.cotangents.dtype).expand(rest))
    return _summed(use, use.cotangents * other[:, None])


def _expand(use: Use) -> Form | None:
    return _summed(use, use.cotangents)


def _summed(use: Use, values: Tensor) -> Form | None:
    """Sum over the axes along which an argument of an elementwise operation was repeated."""
    rest = values.shape[2:]
    missing = len(rest) - len(use.shape)
    sizes = (1,) * missing + tuple(use.shape)
    if sizes[use.layout.axis] != 1:
        return None  # the argument has an axis of examples itself
    repeated = [2 + axis for axis, size in enumerate(sizes) if size == 1]
    return Rows(values.sum(repeated).flatten(2) if repeated else values.flatten(2))


_RULES: dict[str, Callable[[Use], Form | None]] = {
    "AddmmBackward0": _addmm,
    "MmBackward0": _mm,
    "BmmBackward0": _mm,
    "MvBackward0": _mv,
    "ConvolutionBackward0": _convolution,
    "EmbeddingBackward0": _embedding,
    "NativeLayerNormBackward0": _layer_norm,
    "NativeGroupNormBackward0": _group_norm,
    "NativeBatchNormBackward0": _batch_norm,
    "AddBackward0": _add,
    "SubBackward0": _sub,
    "MulBackward0": _mul,
    "ExpandBackward0": _expand,
}
