"""What ATen operations do to scale and axes: contractions, lookups, and operations that keep a scale factor.

Operations of one's own join the tables that are plain sets when they are registered (`operations`).
"""

from __future__ import annotations

from dataclasses import dataclass

from similitude.scaling.dataflow.claims import REGISTERED, Contracts, Dims, Operands
from similitude.scaling.dataflow.trace import Node, Ref

SHAPE = {
    "view",
    "_unsafe_view",
    "reshape",
    "_reshape_alias",
    "t",
    "transpose",
    "permute",
    "movedim",
    "slice",
    "select",
    "narrow",
    "split",
    "split_with_sizes",
    "unsafe_split",
    "unsafe_split_with_sizes",
    "unbind",
    "chunk",
    "expand",
    "clone",
    "_to_copy",
    "to",
    "unsqueeze",
    "squeeze",
    "alias",
    "detach",
    "contiguous",
    "as_strided",
    "lift_fresh",
    "lift_fresh_copy",
    "roll",
    "flip",
    "unfold",
    "repeat",
    "tile",
    "repeat_interleave",
    "pixel_shuffle",
    "pixel_unshuffle",
    "im2col",
    "col2im",
    "constant_pad_nd",
    "view_as_real",
    "view_as_complex",
    "diagonal",
    "unfold_backward",
    "slice_scatter",
    "native_dropout",
    "dropout",
    "gather",
    "index",
    "index_select",
    "positive",
    "swapaxes",
}
"""Operations that move entries and leave their values."""

LINEAR = {
    "neg",
    "sum",
    "mean",
    "cumsum",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "_adaptive_avg_pool2d",
    "_adaptive_avg_pool3d",
    "adaptive_avg_pool1d",
    "upsample_nearest1d",
    "upsample_nearest2d",
    "upsample_nearest3d",
    "upsample_linear1d",
    "upsample_bilinear2d",
    "upsample_trilinear3d",
    "upsample_bicubic2d",
    "_upsample_nearest_exact1d",
    "_upsample_nearest_exact2d",
    "_upsample_bilinear2d_aa",
    "_fft_r2c",
    "_fft_c2c",
    "_fft_c2r",
    "tril",
    "triu",
    "conj",
    "real",
    "imag",
}
"""Operations of one activation that are linear in it."""

HOMOGENEOUS = {
    "relu",
    "relu_",
    "leaky_relu",
    "leaky_relu_",
    "abs",
    "max_pool1d_with_indices",
    "max_pool2d_with_indices",
    "max_pool3d_with_indices",
    "max_pool2d",
    "max_pool1d",
    "amax",
    "amin",
    "max",
    "min",
    "maximum",
    "minimum",
    "adaptive_max_pool2d",
    "prelu",
}
"""Operations that a positive factor passes through."""

JOIN = frozenset(["cat", "stack", "concat", "hstack", "vstack"])

ADD = frozenset(["add", "add_", "sub", "sub_", "rsub"])
MUL = frozenset(["mul", "mul_"])
DIV = frozenset(["div", "div_"])

MEETINGS = {
    **dict.fromkeys(ADD, "bias"),
    **dict.fromkeys(MUL, "gain"),
    **dict.fromkeys(DIV, "divide"),
    **dict.fromkeys(JOIN, "concat"),
}
"""What a parameter is to an activation that it meets entry by entry."""

NORM = {
    "native_layer_norm",
    "native_group_norm",
    "native_batch_norm",
    "cudnn_batch_norm",
    "miopen_batch_norm",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training",
    "_batch_norm_with_update",
    "_batch_norm_no_update",
    "batch_norm",
    "layer_norm",
    "group_norm",
    "_fused_rms_norm",
    "rms_norm",
}
"""Fused normalizations; weight operands are a gain and then a bias."""

LOOKUP = frozenset(
    ["embedding", "index_select", "index", "gather", "_embedding_bag", "_embedding_bag_forward_only"]
)
"""Operations that read rows of a table by index."""

CHOICE = frozenset(
    ["_softmax", "_log_softmax", "softmax", "log_softmax", "topk", "sort", "argmax", "argmin", "bernoulli"]
)
"""Operations after which a value weighs or selects, and is not read as features any more."""

FRESH = frozenset(
    [
        "zeros_like",
        "ones_like",
        "empty_like",
        "full_like",
        "rand_like",
        "randn_like",
        "new_zeros",
        "new_ones",
        "new_empty",
        "new_full",
        "new_empty_strided",
    ]
)
"""Operations that read nothing of a tensor but its shape."""

NORMS = frozenset(["linalg_vector_norm", "norm"])
"""Operations that give the length of vectors."""

SQUARES = frozenset(["pow", "pow_", "square"])
"""Operations whose sum is a squared length."""

OF_LENGTH = frozenset(
    ["pow", "pow_", "sqrt", "rsqrt", "clamp_min", "clamp", "maximum", "add", "add_", "reciprocal", "clone"]
)
"""Operations that make a length of a sum of squares, or keep it one."""

ATTENTION = "scaled_dot_product"


@dataclass(frozen=True)
class Side:
    """One operand of a contraction: its value, and which of its dimensions are contracted, kept or batched."""

    value: int
    contracted: tuple[int, ...]
    kept: tuple[int, ...]


@dataclass(frozen=True)
class Contraction:
    """A product of two tensors that sums over an index.

    Attributes:
        left: First operand.
        right: Second operand.
        bias: A tensor that is added to the product.
        groups: Number of groups of a convolution.
        transposed: Whether a convolution is transposed.
    """

    left: Side
    right: Side
    bias: int | None = None
    groups: int = 1
    transposed: bool = False


def contraction(node: Node, rank: dict[int, int]) -> Contraction | None:
    """Read a node as a contraction; None if it is not one.

    Args:
        node: The operation.
        rank: Number of dimensions of a value.
    """
    refs = [a.value if isinstance(a, Ref) else None for a in node.args]
    op = node.op
    known = REGISTERED.get(op)
    if known is not None:
        claim, operands = known.claim, known.operands
        return _claimed(claim, operands, refs, rank) if isinstance(claim, Contracts) and operands else None
    if op in ("mm", "bmm", "dot", "vdot", "mv"):
        return _product(refs[0], refs[1], None, rank)
    if op in ("addmm", "baddbmm", "addmv", "addbmm"):
        return _product(refs[1], refs[2], refs[0], rank)
    if op == "_addmm_activation":
        return _product(refs[1], refs[2], refs[0], rank)
    if op == "linear":
        x, w = _known(refs[0]), _known(refs[1])
        bias = refs[2] if len(refs) > 2 else None
        return Contraction(Side(x, (rank[x] - 1,), ()), Side(w, (1,), (0,)), bias)
    if op in ("convolution", "_convolution"):
        x, w = _known(refs[0]), _known(refs[1])
        kernel = tuple(range(2, rank[w]))
        transposed, groups = bool(node.args[6]), int(node.args[8])
        sides = Side(w, (0, *kernel), (1,)) if transposed else Side(w, (1, *kernel), (0,))
        return Contraction(Side(x, (1,), ()), sides, refs[2], groups, transposed)
    if op in ("_grouped_mm", "_grouped_mm_fallback", "transformers::grouped_mm_fallback"):
        x, w = _known(refs[0]), _known(refs[1])
        return Contraction(Side(x, (rank[x] - 1,), ()), Side(w, (rank[w] - 2,), (rank[w] - 1,)))
    return None


def _claimed(
    claim: Contracts, operands: Operands, refs: list[int | None], rank: dict[int, int]
) -> Contraction:
    x, w = _known(refs[operands.x]), _known(refs[operands.weight])
    bias = refs[operands.bias] if operands.bias is not None and operands.bias < len(refs) else None
    left, right = (_dims(dims, rank[value]) for dims, value in zip(claim.over, (x, w), strict=True))
    return Contraction(Side(x, left, ()), Side(w, right, _dims(claim.kept, rank[w])), bias)


def _dims(dims: Dims, rank: int) -> tuple[int, ...]:
    """Count dimensions from the start."""
    return tuple(dim % rank for dim in ((dims,) if isinstance(dims, int) else dims))


def _product(left: int | None, right: int | None, bias: int | None, rank: dict[int, int]) -> Contraction:
    a, b = _known(left), _known(right)
    return Contraction(
        Side(a, (rank[a] - 1,), (rank[a] - 2,) if rank[a] > 1 else ()),
        Side(b, (max(0, rank[b] - 2),), (rank[b] - 1,) if rank[b] > 1 else ()),
        bias,
    )


def _known(value: int | None) -> int:
    assert value is not None, "a contraction has two tensor operands"
    return value
