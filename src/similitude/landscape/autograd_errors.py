"""What it means when autograd cannot differentiate a second time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import CheckpointFunction

from similitude.core.errors import CurvatureError
from similitude.landscape.autograd_graph import walk

_NOT_TWICE = re.compile(r"derivative for '?(?:aten::)?([\w.]+)'? is not implemented")
_ONCE = "once_differentiable"
_COMPILED = "does not currently support double backward"
_IN_PLACE = "modified by an inplace operation"


@contextmanager
def explained() -> Iterator[None]:
    """Say what a failure of the second backward pass means.

    Raises:
        CurvatureError: In place of autograd's error.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if match := _NOT_TWICE.search(text):
            raise CurvatureError(
                f"the operation aten::{match[1]} has no second derivative in PyTorch {torch.__version__}, so the "
                "Hessian of this loss cannot be taken. Replace it for the measurement by one made of elementary "
                "operations; `similitude doctor` shows which module calls it."
            ) from error
        if _ONCE in text:
            raise CurvatureError(_once("a torch.autograd.Function of this model")) from error
        if _COMPILED in text:
            raise CurvatureError(
                "part of the loss is compiled, and compiled code cannot be differentiated twice. Give the function "
                "before torch.compile; compiled modules are run eagerly here."
            ) from error
        if _IN_PLACE in text:
            raise CurvatureError(
                "parameters or inputs changed after the gradient's graph was built, so it belongs to another point. "
                "Call refresh() after every update."
            ) from error
        raise


def check_marks(value: Tensor) -> None:
    """Raise if a Function in the graph of a loss is marked as differentiable once, or is a reentrant checkpoint.

    PyTorch raises by itself only where the gradient that reaches a marked Function depends on the parameters; elsewhere
    it leaves the Function's own curvature out without a word, and always that of what a reentrant checkpoint holds.

    Raises:
        CurvatureError: There is one; it is named.
    """
    for node, _ in walk(value):
        function = getattr(node, "_forward_cls", None)
        backward = getattr(function, "backward", None)
        if function is CheckpointFunction:
            raise CurvatureError(
                "part of the model is checkpointed with use_reentrant=True, whose backward pass cannot be differentiated "
                "again. Pass use_reentrant=False to torch.utils.checkpoint, or switch checkpointing off (in transformers "
                "gradient_checkpointing_disable())."
            )
        if function is not None and getattr(backward, "__code__", None) is _MARK:
            raise CurvatureError(_once(f"the torch.autograd.Function {function.__name__}"))


def _once(what: str) -> str:
    return (
        f"{what} is marked @once_differentiable, so its backward pass cannot be differentiated again. Write that pass "
        "with differentiable operations and drop the mark; `similitude doctor` shows which module calls it."
    )


def _plain(ctx: object, grad: Tensor) -> Tensor:
    return grad


_MARK = once_differentiable(_plain).__code__  # every marked function has the code of the same wrapper
