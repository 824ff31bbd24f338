"""One forward pass as a graph: every operation with its operands, seen below autograd with real tensors."""

from __future__ import annotations

import contextlib
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only
from torch.utils.weak import WeakTensorKeyDictionary

from similitude.core.seeding import seeded
from similitude.scaling.dataflow.claims import REGISTERED, Plain, trace_name

_MOST_CONSTANT = 1_000_000  # entries of a constant that is looked at for being one number everywhere

Observer = Callable[["Node", Callable[..., Any], tuple[Any, ...], dict[str, Any], Any], None]


@dataclass(frozen=True)
class Ref:
    """Stands for a tensor among the arguments of a node."""

    value: int


@dataclass(frozen=True)
class Value:
    """One tensor of the pass.

    Attributes:
        index: Its number.
        shape: Its shape.
        kind: "parameter", "const" (a buffer, or made from nothing), "input" or "computed".
        name: Name of the parameter or buffer.
        item: Its value where it is one number, or a constant of one number everywhere.
    """

    index: int
    shape: tuple[int, ...]
    kind: str
    name: str = ""
    item: float | None = None


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        index: Its number, in order of execution.
        op: Name of the operation without overload: "addmm" for one of ATen, "package::name" for others.
        inputs: Values of its tensor arguments, in order.
        outputs: Values that it gives, in order.
        args: Positional arguments, tensors replaced by `Ref`.
        kwargs: Keyword arguments, likewise.
        module: Name of the innermost module that ran it.
    """

    index: int
    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    module: str


@dataclass(frozen=True)
class Trace:
    """A forward pass.

    Attributes:
        nodes: Operations in order.
        values: Tensors by number.
        entries: First tensor argument of each module call, as (module, value).
        exits: What each module call returns where it is one tensor, as (module, value), inner calls first.
        shapes: Shape of every parameter of the model by its first name.
        outputs: Tensors of the call's result.
        returns: Tensors that the model itself returned, in each of its calls; the call may go on, to a loss.
    """

    nodes: tuple[Node, ...]
    values: tuple[Value, ...]
    entries: tuple[tuple[str, int], ...]
    shapes: dict[str, tuple[int, ...]]
    outputs: tuple[int, ...] = ()
    exits: tuple[tuple[str, int], ...] = ()
    returns: tuple[int, ...] = ()


def trace(
    model: nn.Module,
    call: Callable[[nn.Module], Any],
    *,
    inputs: Any = (),
    seed: int = 0,
    observer: Observer | None = None,
    evaluate: bool = True,
) -> Trace:
    """Run `call(model)` once without gradients, and record every operation.

    Fused paths that hide what a weight is used for (the encoder layer's fast path, oneDNN's recurrent nets)
    are switched off for the call and restored after it.

    Args:
        model: A model of one's own, in eval mode afterwards as before.
        call: Runs the forward pass.
        inputs: Whatever tensors the call feeds to the model, nested as they are.
        seed: Seed of random layers; global generators are left as they were.
        observer: Called after each operation with its node, the function, its arguments and result.
        evaluate: Whether to run in eval mode; else each module runs in its own, and what a write in place does to
            other views of the memory is recorded entry by entry.
    """
    recorder = _Recorder(model, inputs, observer, overlaps=not evaluate)
    training = {module: module.training for module in model.modules()}
    if evaluate:
        model.eval()
    hooks = [
        hook
        for name, module in model.named_modules()
        for hook in (
            module.register_forward_pre_hook(recorder.entering(name), with_kwargs=True, prepend=True),
            module.register_forward_hook(recorder.leaving(name), always_call=True),
        )
    ]
    try:
        with seeded(seed), torch.no_grad(), unfused(), recorder:
            result = call(model)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in training.items():
            module.training = mode
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    outputs = tuple(recorder.index(t) for t in tree_flatten(result)[0] if isinstance(t, torch.Tensor))
    nodes, values, entries = tuple(recorder.nodes), tuple(recorder.values), tuple(recorder.entries)
    exits = tuple(recorder.exits)
    return Trace(nodes, values, entries, shapes, outputs, exits, tuple(recorder.returns))


@contextlib.contextmanager
def unfused() -> Iterator[None]:
    """Switch off kernels that hide the uses of weights, for the time of a pass."""
    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    flags = _set_onednn(False)
    try:
        with _eager():
            yield
    finally:
        _set_onednn(*flags)
        torch.backends.mha.set_fastpath_enabled(fastpath)


def _eager() -> contextlib.AbstractContextManager[Any]:
    """Run compiled code as it was written; the compiler, which takes a second to import, is left alone where none is."""
    compiler = "torch._dynamo" in sys.modules
    return torch.compiler.set_stance("force_eager") if compiler else contextlib.nullcontext()


def _set_onednn(*flags: Any) -> tuple[Any, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of TF32 on Intel GPUs whatever is set
        return torch.backends.mkldnn.set_flags(*flags)


class _Recorder(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Whether torch wraps the method below, for which it imports the compiler: nothing is compiled in a pass."""
        return False

    def __init__(
        self, model: nn.Module, inputs: Any, observer: Observer | None, *, overlaps: bool = False
    ) -> None:
        super().__init__()
        self._overlaps = overlaps
        self.nodes: list[Node] = []
        self.values: list[Value] = []
        self.entries: list[tuple[str, int]] = []
        self.exits: list[tuple[str, int]] = []
        self.returns: list[int] = []
        self._observer = observer
        self._inside = False  # the plain equivalent of a registered operation
        self._modules: list[str] = []
        self._of: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._sharing: dict[int, list[weakref.ref[torch.Tensor]]] = {}
        for name, parameter in model.named_parameters():
            self._register(parameter, "parameter", name)
        for name, buffer in model.named_buffers():
            self._register(buffer, "const", name)
        for tensor in tree_flatten(inputs)[0]:
            if isinstance(tensor, torch.Tensor):
                self._enter(tensor)

    def entering(self, name: str) -> Callable[..., None]:
        """Return the hook that notes where the pass is."""

        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._modules.append(name)
            tensor = next((t for t in tree_flatten((args, kwargs))[0] if isinstance(t, torch.Tensor)), None)
            if tensor is not None:
                self.entries.append((name, self.index(tensor)))

        return hook

    def leaving(self, name: str) -> Callable[..., None]:
        """Return the hook that notes that the pass has left a module, and what it returned."""

        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            self._modules.pop()
            if isinstance(output, torch.Tensor):
                self.exits.append((name, self.index(output)))
            if not name:
                self.returns += [
                    self.index(t) for t in tree_flatten(output)[0] if isinstance(t, torch.Tensor)
                ]

        return hook

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = trace_name(func._schema.name)
        known = REGISTERED.get(name)
        if known is not None and isinstance(known.claim, Plain):
            return self._equivalent(known.claim, args, kwargs)
        if self._inside and func._can_decompose():
            # Above autograd, where a model's own calls are seen, these come in their parts already.
            with self:
                return func.decompose(*args, **kwargs)
        before = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, torch.Tensor)]
        inputs = tuple(self.index(t) for t in before)
        plain_args, plain_kwargs = tree_map_only(torch.Tensor, lambda t: Ref(self.index(t)), (args, kwargs))
        out = func(*args, **kwargs)
        made = [t for t in tree_flatten(out)[0] if isinstance(t, torch.Tensor)]
        written = [t for t in _written(func, args, kwargs) if not any(t is m for m in made)]
        outputs = tuple(self._register(t, "computed" if inputs else "const") for t in [*made, *written])
        node = self._node(name, inputs, outputs, plain_args, plain_kwargs)
        changed = {id(t) for t in _written(func, args, kwargs)}
        for tensor, value in zip([*made, *written], outputs, strict=True):
            if id(tensor) in changed:
                self._spread(tensor, value)
        if self._observer is not None:
            self._observer(node, func, args, kwargs, out)
        return out

    def _equivalent(self, claim: Plain, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run what an operation is the equivalent of, and record that."""
        outer, self._inside = self._inside, True
        try:
            with self:
                return claim.function(*args, **kwargs)
        finally:
            self._inside = outer

    def _node(self, op: str, inputs: Any, outputs: Any, args: Any = (), kwargs: Any = None) -> Node:
        module = self._modules[-1] if self._modules else ""
        node = Node(len(self.nodes), op, inputs, outputs, args, kwargs or {}, module)
        self.nodes.append(node)
        return node

    def _enter(self, tensor: torch.Tensor) -> int:
        value = self._register(tensor, "input")
        self._node("input", (), (value,))
        return value

    def index(self, tensor: torch.Tensor) -> int:
        """Return the number of a tensor; one that was never seen is a constant."""
        known = self._of.get(tensor)
        return self._register(tensor, "const") if known is None else known

    def _register(self, tensor: torch.Tensor, kind: str, name: str = "") -> int:
        item = _number(tensor, kind)
        value = Value(len(self.values), tuple(tensor.shape), kind, name, item)
        self.values.append(value)
        self._of[tensor] = value.index
        storage = _storage(tensor)
        if storage is not None:
            self._sharing.setdefault(storage, []).append(weakref.ref(tensor))
        return value.index

    def _spread(self, tensor: torch.Tensor, value: int) -> None:
        """Let every other view of a tensor that was written in place depend on what was written."""
        storage = _storage(tensor)
        sharing = self._sharing.get(storage, ()) if storage is not None else ()
        others = [t for t in (r() for r in sharing) if t is not None]
        seen = {id(tensor)}
        for other in others:
            if id(other) in seen:
                continue
            seen.add(id(other))
            old = self._of[other]
            new = self._register(other, "computed")
            self._node(
                "alias_write", (old, value), (new,), (_overlap(other, tensor),) if self._overlaps else ()
            )


def _overlap(view: torch.Tensor, written: torch.Tensor) -> torch.Tensor:
    """Return for each entry of a view which flat entry of the written tensor shares its memory; -1 for none."""
    places = torch.arange(view.untyped_storage().nbytes() // view.element_size())
    where = torch.full_like(places, -1)
    target = places.as_strided(written.shape, written.stride(), written.storage_offset()).flatten()
    where[target] = torch.arange(len(target))
    return where[places.as_strided(view.shape, view.stride(), view.storage_offset())]


def _storage(tensor: torch.Tensor) -> int | None:
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # tensors of torch.func and sparse ones have none
        return None


def _number(tensor: torch.Tensor, kind: str) -> float | None:
    """Return the one number that a tensor holds, if so."""
    count = tensor.numel()
    if count == 0 or tensor.is_complex() or tensor.dtype == torch.bool or tensor.is_meta:
        return None
    if count > 1 and (kind != "const" or count > _MOST_CONSTANT):
        return None
    try:
        values = tensor.detach()
        low, high = float(values.min()), float(values.max())
    except (NotImplementedError, RuntimeError):
        return None
    return low if low == high else None


def _written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[torch.Tensor]:
    """List the tensors that an operation changes in place."""
    found = []
    for i, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = args[i] if i < len(args) else kwargs.get(argument.name)
            found += [t for t in tree_flatten(given)[0] if isinstance(t, torch.Tensor)]
    return found
