"""Matrices that start at zero, as those of zero-initialized branches and readouts do, told from gains of zero."""

from __future__ import annotations

from similitude.kernels.program import Program
from similitude.scaling.dataflow.trace import Ref

_VIEWS = {"t", "transpose", "permute", "view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "expand", "slice",
          "select", "split", "split_with_sizes", "chunk", "unbind", "alias", "detach", "clone"}  # fmt: skip
_MATRICES = {
    "mm": (0, 1), "matmul": (0, 1), "bmm": (0, 1), "addmm": (1, 2), "baddbmm": (1, 2), "linear": (1,),
    "convolution": (1,), "_convolution": (1,), "convolution_overrideable": (1,), "mkldnn_convolution": (1,),
}  # fmt: skip


def is_contracted(program: Program, index: int) -> bool:
    """Tell whether a value of several axes is contracted with another one, as a matrix or a filter.

    Args:
        program: The recorded pass.
        index: The value.
    """
    if len(program.values[index].shape) < 2:
        return False
    views = {index}
    for op in program.ops:
        places = [i for i, a in enumerate(op.args) if isinstance(a, Ref) and a.value in views]
        if set(places) & set(_MATRICES.get(op.name, ())):
            return True
        if places and op.name in _VIEWS:
            views.update(op.node.outputs)
    return False
