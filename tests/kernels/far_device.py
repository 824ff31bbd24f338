"""A device that is not here: its tensors live in CPU memory, and refuse what tensors of an accelerator refuse."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

FAR = torch.device("lazy", 0)
"""A device type that torch knows on every machine and that nothing here computes on."""

_MOVES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
_INDEXED = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
}


class Far(Tensor):
    """A tensor of the device, around the CPU tensor that has its numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Far:
        """Wrap a CPU tensor."""
        found = Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=FAR,
        )  # fmt: skip
        found.held = held
        return found

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Refuse: the rules are those of `FarDevice`, which is not active."""
        raise AssertionError(f"{func} of a far tensor outside of FarDevice")

    def data_ptr(self) -> int:
        """Return where the numbers are."""
        return self.held.data_ptr()

    def tolist(self) -> Any:
        """Return the numbers, which copies them from the device."""
        return self.held.tolist()

    def numpy(self, **_: Any) -> Any:
        """Refuse, as every device but the CPU does."""
        raise TypeError(f"can't convert {FAR} device type tensor to numpy. Use Tensor.cpu() first.")

    def __repr__(self, **_: Any) -> str:
        """Show the numbers."""
        return f"Far({self.held!r})"


class FarDevice(TorchDispatchMode):
    """Computes with far tensors as CUDA would: an operation takes tensors of one device.

    Allowed are CPU numbers without dimensions, CPU indices of `x[index]`, and copies from one device to another.

    Attributes:
        operations: How many had a far tensor.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do one operation on the CPU, and put its results where the device would have them."""
        kwargs = dict(kwargs or {})
        given = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, Tensor)]
        far = any(isinstance(t, Far) for t in given)
        if far and func not in _MOVES:
            self._check(func, args, kwargs, given)
        self.operations += far
        target = kwargs.get("device")
        if target is not None:
            far = torch.device(target).type == FAR.type
            kwargs["device"] = torch.device("cpu") if far else target
        generator = kwargs.get("generator")
        if far and generator is not None:
            raise RuntimeError(f"{func}: expected a generator of {FAR}, found one of {generator.device}")
        out = func(*tree_map(_near, args), **tree_map(_near, kwargs))
        if func is torch.ops.aten.copy_.default:
            far = isinstance(args[0], Far)
        same = {id(t.held): t for t in given if isinstance(t, Far)}
        return tree_map(lambda t: same.get(id(t), Far(t)) if far and isinstance(t, Tensor) else t, out)

    def _check(self, func: Any, args: Any, kwargs: Any, given: list[Tensor]) -> None:
        indices = [t for t in args[1] if t is not None] if func in _INDEXED else []
        written = [
            value
            for argument, value in zip(func._schema.arguments, args, strict=False)
            if argument.alias_info is not None and argument.alias_info.is_write
        ]
        written += [kwargs["out"]] if "out" in kwargs else []
        for tensor in given:
            if isinstance(tensor, Far) or any(tensor is i for i in indices):
                continue
            if tensor.dim() or any(tensor is t for t in written):
                raise RuntimeError(
                    f"{func}: expected all tensors to be on {FAR}, found one of {tuple(tensor.shape)} on {tensor.device}"
                )


def far(tensor: Tensor) -> Far:
    """Return a tensor on the device."""
    return Far(tensor.detach().clone())


def near(tensor: Tensor) -> Tensor:
    """Return the numbers of a tensor of the device.

    Raises:
        AssertionError: It is not on the device.
    """
    assert isinstance(tensor, Far), f"a tensor of {tuple(tensor.shape)} on {tensor.device}"
    return tensor.held


def _near(value: Any) -> Any:
    return value.held if isinstance(value, Far) else value
