"""Forward geometry and gradient norms with depth of any module (paper 3), and what to change where they do not keep."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from similitude.checking.losses import LossLike, differentiable, has_own_loss, loss_of
from similitude.checking.preactivations import Site, find_sites, record_preactivations
from similitude.core.citation import cites
from similitude.core.errors import FactoryError, PlanError, TheoryError
from similitude.core.intervals import t_interval
from similitude.core.seeding import derive, seeded
from similitude.scaling.sizes import DEPTH, arguments, call_text
from similitude.theory.batch_norm.gaps import isometry_gap, orthogonality_gap, precision
from similitude.theory.batch_norm.rank import RankCondition, gradient_rate, judge_rank, row_rank
from similitude.theory.finite_width.given import whole
from similitude.theory.signal.records import Growth, Profile, SignalLayer, judge_signal

_MOST_SAMPLES = 2048  # samples times positions that geometry is taken of
_ORTHOGONAL = 0.05  # isometry gap of weights; Gaussian ones have about 1
_COUPLED = 1e-3  # change of what one sample gives, when others change, relative to its size
_MOST_SAME = 0.9  # share of the samples that were not touched, below which more has changed
_FEWEST = 3  # layers between which growth has a rate
_STAND_IN = (
    "the model gives no loss and none was passed, so gradients are those of the mean square between its outputs and "
    "fixed random targets. Pass loss= (--loss) to measure your own"
)


@cites(3, "isometry, and gradient norms with depth")
def profile(
    make: nn.Module | Callable[..., nn.Module],
    batch: Any,
    *,
    depths: Sequence[int] | None = None,
    loss: LossLike | None = None,
    seeds: int = 3,
) -> Profile:
    """Measure how a network's signal and gradients change from layer to layer, at initialization and in train mode.

    Layers are found in the operations of the forward pass, in any module. Whether samples see each other, as behind
    batch norm, is found by changing half of them; then the rank of the batch is held against the width.

    Args:
        make: A model, which is left as it is; a function of nothing; or with depths a function of the depth.
        batch: What `loss(model, batch)` takes, or what the model is called with.
        depths: Depths to build; None for the one network.
        loss: A loss. Models that return their own need none; without either gradients are those of the mean square
            between outputs and fixed random targets.
        seeds: Networks per depth; of a built model there is one.

    Returns:
        Numbers by layer, rates of growth with depth, and a verdict with what to change.

    Raises:
        TheoryError: The arguments do not fit together.
        FactoryError: The function fails, or returns no module.
        PlanError: The model cannot take the batch, or has no matrices that act on it.

    Example:
        >>> from similitude.theory.batch_norm.network import batch_norm_net
        >>> x = torch.randn(32, 16, generator=torch.Generator().manual_seed(0))
        >>> found = profile(lambda depth: batch_norm_net(16, 4, width=16, depth=depth), x, depths=(10, 40), seeds=1)
        >>> str(found.verdict.outcome), found.coupled, found.orthogonal, found.condition.rank
        ('ok', True, True, 16)

    Cost: four passes and one backward pass per network, and one singular value decomposition per layer.
    """
    listed = _depths(make, depths)
    count = 1 if isinstance(make, nn.Module) else whole("seeds", seeds)
    examples = _examples(batch)
    runs: list[list[_Run]] = []
    stand_in = False
    for depth in listed:
        at_depth = []
        for seed in range(count):
            model = _build(make, depth, derive(seed, "init"))
            stand_in = loss is None and not has_own_loss(model, batch)
            at_depth.append(_Run(model, batch, loss_of(loss, stand_in=stand_in), examples))
        runs.append(at_depth)
    deepest = runs[-1]
    first = deepest[0]
    layers = first.layers()
    logs = np.array([[run.first for run in at_depth] for at_depth in runs])
    by_depth = None
    reached = tuple(d if d is not None else len(first.sites.path) for d in listed)
    if len(reached) > 1:
        by_depth = _growth([float(np.polyfit(reached, logs[:, s], 1)[0]) for s in range(count)])
    gradients = _growth([rate for run in deepest if (rate := run.gradient_rate()) is not None])
    scales = _growth([rate for run in deepest if (rate := run.scale_rate()) is not None])
    coupled = first.coupled()
    orthogonal = first.orthogonal()
    condition = first.condition(layers) if coupled else None
    expected = None
    if condition is not None:
        kind = "orthogonal" if orthogonal else "gaussian"
        expected = gradient_rate(condition.rank, condition.width, weights=kind)
    verdict = judge_signal(
        layers=layers,
        gradients=gradients,
        scales=scales,
        depths=reached,
        by_depth=by_depth,
        coupled=coupled,
        orthogonal=orthogonal,
        condition=condition,
        expected=expected,
    )
    notes = [_STAND_IN] if stand_in else []
    if first.sites.skipped:
        notes.append(f"not measured, without an axis of samples in front: {', '.join(first.sites.skipped)}")
    return Profile(
        layers,
        gradients,
        scales,
        reached,
        tuple(logs.mean(1).tolist()),
        by_depth,
        coupled,
        orthogonal,
        condition,
        expected,
        verdict,
        tuple(notes),
    )


class _Run:
    """One network on the batch: what its matrices give, and their gradients."""

    def __init__(self, model: nn.Module, batch: Any, loss: LossLike, examples: int) -> None:
        self.model, self.batch, self.loss, self.examples = model, batch, loss, examples
        self.sites = find_sites(model, lambda net: loss(net, batch), inputs=batch, examples=examples)
        self.values = record_preactivations(
            model, lambda net: loss(net, batch), self.sites, inputs=batch, examples=examples
        )
        self.gradients = self._gradients()
        self.weights = dict(model.named_parameters(remove_duplicate=False))

    @property
    def first(self) -> float:
        """Log of the gradient norm of the first hidden layer."""
        sites = self.sites.path or self.sites.found
        return _log(self.gradients[sites[0].name])

    def layers(self) -> tuple[SignalLayer, ...]:
        """Describe what every matrix gives."""
        path = {site.node for site in self.sites.path}
        made = []
        for site, value in zip(self.sites.found, self.values, strict=True):
            rows = _rows(value)
            if not torch.isfinite(rows).all() or not rows.any():
                raise TheoryError(
                    f"what '{site.name}' gives (matrix {site.depth}) is zero or not finite, so it has no geometry. Look "
                    "at its inputs, or at the scale of the weights before it."
                )
            made.append(
                SignalLayer(
                    site.name,
                    site.depth,
                    site.width,
                    _rms(value),
                    _cosine(rows),
                    isometry_gap(rows),
                    orthogonality_gap(rows.T),
                    row_rank(rows, centred=False, tolerance=precision(self.weights[site.name])),
                    self.gradients[site.name],
                    site.node in path,
                )
            )
        return tuple(made)

    def condition(self, layers: Sequence[SignalLayer]) -> RankCondition:
        """Hold the largest rank on the way against the width there: convolutions and activations may raise it."""
        rows = [value.numel() // value.shape[-1] for value in self.values]
        both = list(zip(layers, rows, strict=True))
        way = [pair for pair in both if pair[0].on_path] or both
        best, samples = max(way, key=lambda pair: (pair[0].rank / pair[0].width, pair[0].width))
        return judge_rank(best.rank, best.width, samples=samples, centred=False)

    def gradient_rate(self) -> float | None:
        """Growth of log |gradient| of activations per layer towards the input.

        A weight's gradient is that of what it gives times its input, so the latter's scale is taken off.
        """
        logs = [_log(self.gradients[site.name]) - scale for site, scale in self._scales()]
        return self._rate([-log for log in logs])

    def scale_rate(self) -> float | None:
        """Growth of the log of the scale per layer, forwards."""
        return self._rate([scale for _, scale in self._scales()])

    def _scales(self) -> list[tuple[Site, float]]:
        values = {site.node: value for site, value in zip(self.sites.found, self.values, strict=True)}
        return [(site, _log(_rms(values[site.node]))) for site in self._alike()]

    def _rate(self, logs: Sequence[float]) -> float | None:
        places = [site.depth for site in self._alike()]
        return _slope(places, logs) if len(places) >= _FEWEST else None

    def orthogonal(self) -> bool:
        """Whether half of the hidden weights on the way, or more, are orthogonal."""
        weights = [self.weights[site.name].detach().flatten(1) for site in self._alike()]
        # taps of a convolution that are zero are no directions
        gaps = [isometry_gap(w[:, w.any(0)]) for w in weights if w.any()]
        return bool(gaps) and float(np.median(gaps)) <= _ORTHOGONAL

    def coupled(self) -> bool | None:
        """Whether the first samples give something else when the others change."""
        half = self.examples // 2
        if half < 1 or self.examples < 2:
            return None

        def changed(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor) or not leaf.ndim or len(leaf) != self.examples:
                return leaf
            # the same shapes, so that random layers draw the same
            return torch.cat([leaf[: self.examples - half], leaf[:half]])

        other = tree_map(changed, self.batch)
        try:
            values = record_preactivations(
                self.model,
                lambda net: self.loss(net, other),
                self.sites,
                inputs=other,
                examples=self.examples,
            )
        except PlanError:  # operations that depend on the values
            return None
        # counted, not compared by place: modules may put positions before samples
        same = 1 - half / self.examples
        return any(_unchanged(a, b) < _MOST_SAME * same for a, b in zip(self.values, values, strict=True))

    def _alike(self) -> list[Site]:
        shapes = Counter(self.weights[site.name].shape for site in self.sites.path)
        if not shapes:
            return []
        common = shapes.most_common(1)[0][0]
        return [site for site in self.sites.path if self.weights[site.name].shape == common]

    def _gradients(self) -> dict[str, float]:
        net = copy.deepcopy(self.model).train()
        named = dict(net.named_parameters(remove_duplicate=False))
        wanted = {site.name: named[site.name].requires_grad_() for site in self.sites.found}
        with torch.enable_grad(), seeded(derive(0, "probe")):
            value = differentiable(self.loss(net, self.batch))
            found = torch.autograd.grad(value, list(wanted.values()), allow_unused=True)
        return {
            name: 0.0 if g is None else float(g.double().norm())
            for name, g in zip(wanted, found, strict=True)
        }


def _depths(make: Any, depths: Sequence[int] | None) -> list[int | None]:
    if not isinstance(make, nn.Module) and not callable(make):
        raise TheoryError(
            f"make is a {type(make).__name__}. Pass a model, a function of nothing, or of the depth with depths=."
        )
    if depths is None:
        return [None]
    if isinstance(make, nn.Module):
        raise TheoryError(
            "depths have no effect on a model that is built. Pass the function of the depth that builds it."
        )
    listed = sorted({whole(f"depths[{i}]", depth) for i, depth in enumerate(depths)})
    if len(listed) < 2:
        raise TheoryError(
            f"depths={list(depths)}: growth with depth needs two different ones, e.g. (10, 40, 160)."
        )
    return list(listed)


def _build(make: Any, depth: int | None, seed: int) -> nn.Module:
    if isinstance(make, nn.Module):
        return make
    size = {} if depth is None else {DEPTH: depth}
    args, kwargs = arguments(make, size)
    text = call_text(make, size)
    try:
        with seeded(seed):
            model = make(*args, **kwargs)
    except (Exception, SystemExit) as error:
        raise FactoryError(
            f"{text} failed with {type(error).__name__}: {error}. Pass a model, a function of nothing, or with depths a "
            "function of the depth."
        ) from error
    if not isinstance(model, nn.Module):
        raise FactoryError(f"{text} returned a {type(model).__name__}. Return an nn.Module.")
    return model


def _examples(batch: Any) -> int:
    first = next((leaf for leaf in tree_leaves(batch) if isinstance(leaf, Tensor) and leaf.ndim), None)
    if first is None or not len(first):
        raise TheoryError(
            "the batch holds no tensor with an axis of samples in front. Pass inputs, or (inputs, labels)."
        )
    return len(first)


def _rows(value: Tensor) -> Tensor:
    """Return samples and positions times features, at most `_MOST_SAMPLES` of them, evenly spaced."""
    rows = value.reshape(-1, value.shape[-1])
    if len(rows) <= _MOST_SAMPLES:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, _MOST_SAMPLES).long()]


def _unchanged(before: Tensor, after: Tensor) -> float:
    """Return the share of samples and positions for which a matrix gives the same."""
    a, b = (value.reshape(-1, value.shape[-1]) for value in (before, after))
    changes = (a - b).norm(dim=1)
    return float((changes <= _COUPLED * a.norm(dim=1)).double().mean())


def _cosine(rows: Tensor) -> float:
    sizes = rows.norm(dim=1, keepdim=True)
    units = rows / sizes.clamp_min(torch.finfo(rows.dtype).tiny)
    count = int((sizes > 0).sum())
    if count < 2:
        return math.nan
    return float((units.sum(0).square().sum() - count) / (count * (count - 1)))


def _growth(rates: Sequence[float]) -> Growth | None:
    if not rates:
        return None
    mean = float(np.mean(rates))
    if len(set(rates)) < 2:  # one network, or a function that always builds the same one
        return Growth(mean)
    return Growth(mean, t_interval(rates))


def _slope(places: Sequence[float], values: Sequence[float]) -> float:
    return float(np.polyfit(places, values, 1)[0]) if np.isfinite(values).all() else math.nan


def _rms(value: Tensor) -> float:
    return float(value.square().mean().sqrt())


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf
