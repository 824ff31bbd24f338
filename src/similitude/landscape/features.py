"""How far the features of every layer moved between two states of a model: relative change and CKA on fixed inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from similitude.core.citation import cites
from similitude.core.errors import CurvatureError
from similitude.landscape.alignment import alignment
from similitude.landscape.calls import call, copied
from similitude.landscape.undisturbed import undisturbed
from similitude.scaling.axes import some
from similitude.scaling.matching import modules, unwrapped

if TYPE_CHECKING:
    from rich.console import RenderableType

State = nn.Module | Mapping[str, Tensor]
"""A model, or the state dict of one."""


@dataclass(frozen=True)
class FeatureChange:
    """How far the features of one layer moved.

    Attributes:
        name: The module whose output it is, with the number of the call where it was called several times; "" is the
            model itself.
        relative: |h' - h| / |h|, over all examples and entries: the root mean square movement of a feature in units of
            its root mean square before.
        cka: Linear CKA of features before and after, one vector per example: 1 where they are the same up to rotation,
            scale and shift; NaN where they do not vary.
        before: Root mean square of the features before.
        after: The same after.
    """

    name: str
    relative: float
    cka: float
    before: float
    after: float


@dataclass(frozen=True)
class FeatureChanges(Sequence[FeatureChange]):
    """How far the features of every layer moved, in the order in which they were computed.

    Attributes:
        layers: One row per layer.
    """

    layers: tuple[FeatureChange, ...]

    @overload
    def __getitem__(self, index: int) -> FeatureChange: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[FeatureChange, ...]: ...
    def __getitem__(self, index: int | slice) -> FeatureChange | tuple[FeatureChange, ...]:
        return self.layers[index]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[FeatureChange]:
        return iter(self.layers)

    def of(self, name: str) -> FeatureChange:
        """Return the row of one layer.

        Raises:
            CurvatureError: There is none of that name.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise CurvatureError(
            f"no layer {name!r} was measured: there are {some([one.name for one in self.layers])}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"layers": [asdict(layer) for layer in self.layers]}

    def __rich__(self) -> RenderableType:
        from rich.table import Table

        table = Table(title="Change of features")
        table.add_column("layer")
        for name in ("relative change", "CKA", "rms before", "rms after"):
            table.add_column(name, justify="right")
        for one in self.layers:
            numbers = (one.relative, one.cka, one.before, one.after)
            table.add_row(one.name or "(output)", *(f"{number:.3g}" for number in numbers))
        return table


class FeatureProbe:
    """A snapshot of a model's features on fixed inputs, to compare later states of the model with.

    Args:
        model: Any module, in the mode whose features are meant; it is left as it is.
        inputs: What it takes: a tensor, a tuple of arguments, or a dict of keyword arguments. They are copied.
            The first axis of every feature is taken for the examples.
        layers: Names of the modules whose outputs are features; by default those with parameters of their own, and
            the model itself.
        seed: Seeds random layers, the same at every look.

    Raises:
        CurvatureError: A layer is not in the model, or gives no tensor.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
        >>> probe = FeatureProbe(model, torch.randn(8, 3))
        >>> with torch.no_grad():
        ...     _ = model[2].weight.mul_(2), model[2].bias.mul_(2)
        >>> [(one.name, round(one.relative, 3)) for one in probe.change(model)]
        [('0', 0.0), ('2', 1.0), ('', 1.0)]

    Cost: one forward pass per look; the inputs and the features of the first one are kept.
    """

    def __init__(
        self, model: nn.Module, inputs: Any, *, layers: Iterable[str] | None = None, seed: int = 0
    ) -> None:
        self._inputs, self._seed = copied(inputs), seed
        self._layers = None if layers is None else tuple(layers)
        self._before = self._look(model)

    def change(self, model: nn.Module) -> FeatureChanges:
        """Compare the features of a model, of the same layers and shapes, with the snapshot.

        Raises:
            CurvatureError: The layers or their shapes are others, or features are not finite.
        """
        return _compared(self._before, self._look(model))

    def _look(self, model: nn.Module) -> dict[str, Tensor]:
        return _features(model, None, self._inputs, self._layers, self._seed)


@cites(2, "feature learning along training")
def feature_change(
    before: State,
    after: State,
    *,
    inputs: Any,
    model: nn.Module | None = None,
    layers: Iterable[str] | None = None,
    seed: int = 0,
) -> FeatureChanges:
    """Measure how far the features of every layer moved between two states of a model.

    Relative change is the measure to compare widths by: under µP that of hidden features does not depend on the width,
    in the lazy regime it falls. CKA depends on the width in both, and disregards rotations.

    Args:
        before: The model, or a state dict of it.
        after: The later model or state dict.
        inputs: What the model takes: a tensor, a tuple of arguments, or a dict of keyword arguments.
        model: The model that state dicts are of; needed only where both are given so.
        layers: Names of the modules whose outputs are features; by default those with parameters of their own, and
            the model itself.
        seed: Seeds random layers, the same in both.

    Returns:
        One row per layer, in the order in which they were computed.

    Raises:
        CurvatureError: There is no model to run, or the two differ in their layers or shapes.

    Example:
        >>> model = nn.Linear(3, 2)
        >>> twice = {name: 2 * value for name, value in model.state_dict().items()}
        >>> change = feature_change(model, twice, inputs=torch.randn(8, 3))
        >>> round(change.of("").relative, 3), round(change.of("").cka, 3)
        (1.0, 1.0)

    Source: Kornblith et al., arXiv 1905.00414, eq. 3 to 5 (linear CKA).
    """
    chosen = None if layers is None else tuple(layers)
    found = []
    for state, stated in ((before, after), (after, before)):
        runs = state if isinstance(state, nn.Module) else model if model is not None else stated
        if not isinstance(runs, nn.Module):
            raise CurvatureError(
                "two state dicts hold parameters, and no model to run them in. Pass model=, a model that they fit."
            )
        own = None if isinstance(state, nn.Module) else state
        found.append(_features(runs, own, inputs, chosen, seed))
    return _compared(*found)


def _features(
    model: nn.Module,
    state: Mapping[str, Tensor] | None,
    inputs: Any,
    layers: tuple[str, ...] | None,
    seed: int,
) -> dict[str, Tensor]:
    """Run a model, with other parameters and buffers if they are given, and keep what its layers return."""
    plain = unwrapped(model)
    named = modules(plain)
    if layers is None:
        layers = tuple(
            n for n, m in named.items() if not n or any(p is not None for p in m._parameters.values())
        )
    if missing := [name for name in layers if name not in named]:
        raise CurvatureError(f"the model has no module {some(missing)}. Name modules as in named_modules().")
    found: dict[str, Tensor] = {}
    calls: dict[str, int] = {}

    def keep(name: str, result: Any) -> None:
        tensor = next(
            (t for t in tree_leaves(_named(result)) if isinstance(t, Tensor) and t.is_floating_point()), None
        )
        if tensor is None or tensor.ndim == 0:
            raise CurvatureError(
                f"module {name!r} returned a {type(result).__name__} without a tensor of features. Leave it out of "
                "layers=."
            )
        count = calls[name] = calls.get(name, -1) + 1
        found[f"{name}[{count}]" if count else name] = tensor.detach().clone()

    handles = [
        named[name].register_forward_hook(lambda module, args, result, name=name: keep(name, result))
        for name in layers
    ]
    try:
        with undisturbed(plain, seed=seed), torch.no_grad(), _stated(plain, state):
            call(plain, copied(inputs))  # models may write into their inputs
    finally:
        for handle in handles:
            handle.remove()
    return found


@contextmanager
def _stated(model: nn.Module, state: Mapping[str, Tensor] | None) -> Iterator[None]:
    """Let the model have other values meanwhile; its buffers are copies here already.

    Parameters keep their identity, which tied ones and recurrent layers rely on, and get their own memory back.
    """
    if state is None:
        yield
        return
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    known = {name for name, _ in model.named_parameters(remove_duplicate=False)} | set(model.state_dict())
    unknown = [name for name in state if name not in known]
    missing = [name for name, _ in model.named_parameters() if name not in state]
    shapes = [n for n, t in tensors.items() if n in state and state[n].shape != t.shape]
    if unknown or missing or shapes:
        wrong = f"has {some(unknown)}, unknown to it" if unknown else f"lacks {some(missing)}"
        wrong = f"has another shape for {some(shapes)}" if shapes else wrong
        raise CurvatureError(
            f"a state dict does not fit the {type(model).__name__} that it is run in: it {wrong}. Give the state dict of "
            "the same model, with the names of model.state_dict()."
        )
    own = {name: tensor.data for name, tensor in tensors.items()}
    try:
        for name, tensor in tensors.items():
            if name in state:
                tensor.data = state[name].detach().to(tensor, copy=True)
        yield
    finally:
        for name, tensor in tensors.items():
            tensor.data = own[name]


def _named(result: Any) -> Any:
    return dict(result) if isinstance(result, Mapping) else result


def _compared(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> FeatureChanges:
    if before.keys() != after.keys():
        differing = sorted(before.keys() ^ after.keys())
        raise CurvatureError(
            f"layers {some(differing)} ran in one of the two states only. Compare states of one model in one mode."
        )
    return FeatureChanges(tuple(_change(name, h, after[name]) for name, h in before.items()))


def _change(name: str, before: Tensor, after: Tensor) -> FeatureChange:
    if before.shape != after.shape:
        raise CurvatureError(
            f"layer {name!r} has features of shape {tuple(before.shape)} before and {tuple(after.shape)} after. Compare "
            "states of one model on the same inputs."
        )
    n = len(before)
    before, after = before.double().reshape(n, -1), after.to(before.device).double().reshape(n, -1)
    if bad := [when for when, h in (("before", before), ("after", after)) if not h.isfinite().all()]:
        raise CurvatureError(
            f"layer {name!r} has features that are not finite {bad[0]}: look for diverged training."
        )
    sizes = before.norm(), after.norm()
    relative = float((after - before).norm() / sizes[0]) if sizes[0] > 0 else float("nan")
    cka = alignment(before @ before.T, after @ after.T)
    per_entry = before.numel() ** 0.5
    return FeatureChange(name, relative, cka, *(float(size) / per_entry for size in sizes))
