"""The operations of a forward pass, below autograd: which there are, where, and the tensors that each was given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.autograd.graph import Node
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

_NATIVE = ("aten", "prims", "prim")
_GENERATED = "GeneratedBackwardFor"  # what torch.library calls the Functions that it makes for operations


@dataclass
class Call:
    """One operation of a pass, with the smallest tensors that it was called with.

    Attributes:
        name: As PyTorch names it, `aten::mm`; a `torch.autograd.Function` by its own name.
        function: What runs it.
        leaves: Its arguments, flattened; tensors are copies.
        spec: How they were nested, as (positional, keyword).
        varied: Which of the leaves have a gradient; empty where none has, or it runs inside of a Function.
        custom: Whether it is a `torch.autograd.Function`.
        modules: Paths of the modules that call it.
        count: How often it is called.
        entries: Of all tensors among the leaves.
    """

    name: str
    function: Callable[..., Any]
    leaves: list[Any]
    spec: TreeSpec
    varied: tuple[int, ...]
    custom: bool = False
    modules: dict[str, None] = field(default_factory=dict)
    count: int = 0
    entries: int = 0

    def run(self, *varied: Tensor, dtype: torch.dtype) -> Any:
        """Run it with other tensors in place of those that vary, everything else cast to a dtype."""
        leaves = [_cast(leaf, dtype) for leaf in self.leaves]
        changed = not self.custom and self.function._schema.is_mutable  # type: ignore[attr-defined]
        for place, tensor in zip(self.varied, varied, strict=True):
            leaves[place] = tensor.clone() if changed else tensor
        args, kwargs = tree_unflatten(leaves, self.spec)
        return self.function(*args, **kwargs)

    @property
    def once(self) -> bool:
        """Whether it is a Function whose backward pass is marked `@once_differentiable`.

        Where only some of the gradients are asked for, PyTorch does not raise: it takes the marked one for a constant.
        """
        backward = getattr(getattr(self.function, "__self__", None), "backward", None)
        return getattr(backward, "__code__", None) is once_differentiable(lambda ctx: None).__code__

    @property
    def bends(self) -> bool:
        """Whether gradients flow through it and it does more than to show entries in another order."""
        if self.custom:
            return bool(self.varied)
        schema = self.function._schema  # type: ignore[attr-defined]
        views = schema.returns and all(
            r.alias_info is not None and not r.alias_info.is_write for r in schema.returns
        )
        return bool(self.varied) and not views

    def point(self, dtype: torch.dtype) -> list[Tensor]:
        """Return the tensors that vary."""
        return [self.leaves[place].to(dtype) for place in self.varied]


def operations(model: nn.Module, call: Callable[[], Tensor]) -> dict[str, Call]:
    """Run a forward pass and list its operations by name, in the order of their first call.

    Leaves hooks on the model where the pass fails; give a copy, or be in one's own process.

    Args:
        model: The model whose modules are named.
        call: Runs the pass with gradients and returns the loss.
    """
    places = _Places()
    with places.watched(model):
        recorder = _Recorder(places)
        with recorder:
            value = call()
        classes = _custom(value.grad_fn)
        if classes:
            with _watched_functions(classes, recorder):
                call()
    return recorder.calls


class _Places:
    """The modules that a pass is in, innermost last."""

    def __init__(self) -> None:
        self._stack: list[str] = []

    @property
    def here(self) -> str:
        return self._stack[-1] if self._stack else ""

    @contextmanager
    def watched(self, model: nn.Module) -> Iterator[None]:
        with ExitStack() as stack:
            for name, module in model.named_modules():
                enter = module.register_forward_pre_hook(
                    lambda m, args, name=name: self._stack.append(name), prepend=True
                )
                leave = module.register_forward_hook(lambda m, args, out: self._leave(), always_call=True)
                stack.callback(enter.remove)
                stack.callback(leave.remove)
            yield

    def _leave(self) -> None:
        self._stack.pop()


class _Recorder(TorchDispatchMode):
    def __init__(self, places: _Places) -> None:
        super().__init__()
        self.calls: dict[str, Call] = {}
        self._places = places

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        # Inside of a torch.autograd.Function gradients are off: its operations have no derivatives of their own. The
        # operations of other libraries are in Functions that PyTorch has made for them.
        foreign = func.namespace not in _NATIVE
        followed = (torch.is_grad_enabled() or foreign) and func is not torch.ops.aten.detach.default
        self.note(func._schema.name, func, args, kwargs, followed=followed)
        return func(*args, **kwargs)

    def note(
        self,
        name: str,
        function: Callable[..., Any],
        args: Any,
        kwargs: Any,
        *,
        followed: bool,
        custom: bool = False,
    ) -> None:
        leaves, spec = tree_flatten((tuple(args), dict(kwargs)))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        varied = tuple(
            place
            for place, leaf in enumerate(leaves)
            if followed and isinstance(leaf, Tensor) and leaf.requires_grad and leaf.is_floating_point()
        )
        entries = sum(t.numel() for t in tensors)
        known = self.calls.get(name)
        if known is None or (varied and (not known.varied or entries < known.entries)):
            kept = [_copy(leaf) for leaf in leaves] if varied else []
            modules, count = (known.modules, known.count) if known is not None else ({}, 0)
            known = Call(name, function, kept, spec, varied, custom, modules, count, entries)
            self.calls[name] = known
        known.count += 1
        known.modules[self._places.here] = None


@contextmanager
def _watched_functions(classes: list[Any], recorder: _Recorder) -> Iterator[None]:
    """Note what some Functions are called with: `apply`, wherever it was taken from, looks `forward` up."""
    with ExitStack() as stack:
        for cls in classes:
            own = "forward" in vars(cls)
            stack.callback(_restore, cls, cls.forward if own else None)
            cls.forward = staticmethod(_noting(cls, recorder))
        yield


def _noting(cls: Any, recorder: _Recorder) -> Callable[..., Any]:
    forward = cls.forward
    first = (
        1 if cls.setup_context is torch.autograd.Function.setup_context else 0
    )  # the context, where it is given

    def noting(*args: Any) -> Any:
        recorder.note(cls.__name__, cls.apply, args[first:], {}, followed=True, custom=True)
        return forward(*args)

    return noting


def _restore(cls: Any, forward: Callable[..., Any] | None) -> None:
    """Give a class its own `forward` back, or let it inherit one again."""
    if forward is None:
        del cls.forward
    else:
        cls.forward = staticmethod(forward)


def _custom(root: Node | None) -> list[Any]:
    """List the classes of `torch.autograd.Function` in a graph."""
    found: dict[Any, None] = {}
    todo, seen = [root], set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        cls = getattr(type(node), "_forward_cls", None)
        if cls is not None and not cls.__name__.startswith(_GENERATED):
            found[cls] = None
        todo += [following for following, _ in node.next_functions]
    return list(found)


def _copy(leaf: Any) -> Any:
    return leaf.detach().clone() if isinstance(leaf, Tensor) else leaf


def _cast(leaf: Any, dtype: torch.dtype) -> Any:
    return leaf.to(dtype) if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf
