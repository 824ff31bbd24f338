"""Is this network in the regime of infinite width? Fluctuations over random draws of a user's model (papers 8 and 15)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from similitude.checking.preactivations import Sites, find_sites, record_preactivations
from similitude.core.citation import cites
from similitude.core.errors import FactoryError, KernelError, PlanError, SimilitudeError
from similitude.core.seeding import derive, seeded
from similitude.landscape.calls import Outputs, call, copied
from similitude.landscape.undisturbed import undisturbed
from similitude.scaling.axes import build
from similitude.scaling.sizes import DEPTH, WIDTH, as_size, takes_width
from similitude.studies.depth_profile import DepthProfile, depth_profile, measure_streams
from similitude.studies.finite_width_records import FiniteWidth, LayerSizes
from similitude.studies.finite_width_verdict import judge_finite_width
from similitude.studies.limit_kernels import LimitKernel, infinite_width, limit_kernels
from similitude.studies.seed_spread import Spread, relative_variance
from similitude.studies.tangent_parts import TangentParts, tangent_parts
from similitude.theory.finite_width.ntk_fluctuation import ntk_relative_variance

_FEWEST = 3  # networks, for a variance with an interval
_APART = 4  # ratio of the two depths that are compared
_NARROW, _NARROWEST = 4, 8  # ratio of the two widths that are compared, and the least of them
_SHALLOW = 8  # branches or blocks below which the other depth is the larger one


@cites(8, "finite width: L/n, fourth cumulant and fluctuation of the tangent kernel, measured")
@cites(15, "the covariance flow, measured")
def finite_width(
    make: Callable[..., Any],
    inputs: Any,
    *,
    size: int | Mapping[str, int] | None = None,
    networks: int = 16,
    examples: int = 8,
    tangent: int = 4,
    outputs: Outputs | None = None,
    infinite: bool = True,
    limit: float = 0.1,
    seed: int = 0,
) -> FiniteWidth:
    """Measure how far a network at initialization is from its limits of infinite width, and of infinite depth.

    Networks are drawn by the user's own function. Over them, the variance that a unit has given the layer before, and
    the tangent kernel, are random at finite width and fixed in the limit: their relative variances say how far it is,
    whatever the architecture. Where the module has kernels at infinite width (`similitude.kernel`), its own are held
    against these, at a quarter of the width too if it has a dial. Where there is a residual stream, its covariances are
    compared with the flow that branches of 1 / sqrt(L) have; with a dial `depth` at a second depth, which gives the
    exponent of the branches.

    Args:
        make: Function of the width and further dials, or of nothing, that returns a new model with random weights.
        inputs: What the model is called with: a tensor, a tuple or a dict, the first axis that of the examples.
        size: Size of the model, e.g. `{"width": 256, "depth": 16}`; None for a function of nothing.
        networks: Networks that are drawn.
        examples: Of the inputs, the first so many are used.
        tangent: Examples of the tangent kernel; 0 for none.
        outputs: Takes what the model returns and gives the outputs that the tangent kernel is of; by default the tensor
            itself, the `logits` of what was returned, or the only real tensor in it.
        infinite: Whether kernels are compared with those at infinite width. What stands in the way is in `notes`.
        limit: Relative variance up to which a network counts as wide.
        seed: Seeds the networks.

    Returns:
        Fluctuations by layer and of the tangent kernel, kernels beside those at infinite width, the depth profile, and a
        verdict.

    Raises:
        PlanError: A number is out of range, the model cannot be called with the inputs, or no matrix acts on an axis of
            examples.
        FactoryError: The function fails, or returns no model.
        CurvatureError: The tangent kernel cannot be taken.

    Example:
        >>> from similitude.models import MLP
        >>> x = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
        >>> found = finite_width(lambda width: MLP(16, 4, width=width, depth=2), x, size=512)
        >>> found.verdict.ok, found.depth, found.depth_over_width
        (True, 2, 0.00390625)
        >>> [(row.kernel, row.deviation.value < 0.1) for row in found.limits]
        [('nngp', True), ('ntk', True)]

    Source: paper 8 (arXiv 2309.01592), parts on finite width; paper 15 (arXiv 2302.00453).

    Cost: per network two passes, the tangent kernel (a backward pass per output, 16 for more), again at a quarter of the
        width, and with a residual stream two passes with their gradients at each of two depths.
    """
    _check(networks, examples, tangent, limit)
    dials = None if size is None else as_size(size, "size")
    if dials is None and takes_width(make):
        raise PlanError('the function takes the width, and no size is given. Pass size=, e.g. {"width": 64}.')
    given, count = _first(inputs, examples)
    makes = [_maker(make, dials, derive(seed, "network", i)) for i in range(networks)]
    _try(makes[0](), given)
    with torch.no_grad():
        sites = find_sites(makes[0](), lambda net: call(net, given), inputs=given, examples=count)
    layers = _layers(makes, sites, given, count)
    notes = (
        [f"not measured, for examples are not their first axis: {', '.join(sites.skipped)}"]
        if sites.skipped
        else []
    )
    kernel, limits, profile = None, (), None
    if tangent:
        few = _first(inputs, min(tangent, count))[0]
        networks_of = tangent_parts(makes, few, outputs=outputs)
        kernel = _spread(networks_of.total())
        if infinite:
            limits, said = _limits(make, dials, makes, networks_of, few, outputs=outputs, seed=seed)
            notes += said
    if sites.branches > 1:
        profile, note = _profile(make, dials, makes, given, seed)
        notes += note
    widths = [site.width for site in sites.path]
    over = sum(1 / width for width in widths)
    relu = ntk_relative_variance(widths) if widths else 0.0
    verdict = judge_finite_width(
        layers,
        kernel=kernel,
        limits=limits,
        profile=profile,
        limit=limit,
        depth=len(widths),
        depth_over_width=over,
        relu_kernel=relu,
    )
    return FiniteWidth(
        size=dials or {},
        networks=networks,
        examples=count,
        layers=layers,
        depth=len(widths),
        depth_over_width=over,
        kernel=kernel,
        limits=limits,
        relu_kernel=relu,
        profile=profile,
        limit=limit,
        verdict=verdict,
        notes=tuple(notes),
    )


def _layers(
    makes: list[Callable[[], nn.Module]], sites: Sites, inputs: Any, examples: int
) -> tuple[LayerSizes, ...]:
    """Measure the preactivations of all matrices over all networks."""
    squares: list[list[np.ndarray]] = [[] for _ in sites.found]
    for make in makes:
        given = copied(inputs)
        values = record_preactivations(
            make(), lambda net, given=given: call(net, given), sites, inputs=given, examples=examples
        )
        for kept, value in zip(squares, values, strict=True):
            kept.append(_sums(value))
    rows = []
    for site, kept in zip(sites.found, squares, strict=True):
        second, fourth = (np.stack([each[i] for each in kept]) for i in (0, 1))
        n = site.width
        pairs = (second**2 - fourth) / (n * (n - 1)) if n > 1 else None
        rows.append(
            LayerSizes(
                name=site.name,
                depth=site.depth,
                width=n,
                hidden=site.hidden,
                variance=float(second.mean() / n),
                ratio=None if pairs is None else relative_variance(pairs, second / n),
                kurtosis=relative_variance(fourth / n, second / n, less=3.0),
            )
        )
    return tuple(rows)


def _sums(value: Tensor) -> np.ndarray:
    """Sum squares and fourth powers over units, for every example and position: shape (2, places)."""
    return torch.stack([value.square().sum(-1).flatten(), (value**4).sum(-1).flatten()]).numpy()


def _spread(kernels: np.ndarray) -> Spread | None:
    """Return the relative variance of the diagonal, from kernels of shape (networks, 1 or 2, N, N)."""
    theta = kernels.diagonal(axis1=2, axis2=3)
    return relative_variance(theta[:, 0] * theta[:, -1], theta.mean(1))


def _limits(
    make: Callable[..., Any],
    dials: Mapping[str, int] | None,
    makes: list[Callable[[], nn.Module]],
    networks: TangentParts,
    inputs: Any,
    *,
    outputs: Outputs | None,
    seed: int,
) -> tuple[tuple[LimitKernel, ...], list[str]]:
    """Compare kernels with those at infinite width, at a quarter of the width too where there is a dial."""
    if outputs is not None:
        return (), [
            "not compared with infinite width, of which kernels are those of the model's own first output"
        ]

    def of(width: int) -> Callable[[int], nn.Module]:
        return lambda there: make(**{**(dials or {}), WIDTH: there})

    width = 0 if dials is None else dials.get(WIDTH, 0)
    try:
        family = of(width) if width else makes[0]()
        limit = infinite_width(family, inputs, widths=(width, 2 * width) if width else None, seed=seed)
    except (KernelError, FactoryError) as error:
        return (), [f"not compared with infinite width: {error}"]
    smaller, notes, narrow = width // _NARROW, [], None
    if smaller >= _NARROWEST:
        size = {**(dials or {}), WIDTH: smaller}
        others = [_maker(make, size, derive(seed, "narrow network", i)) for i in range(len(makes))]
        try:
            there = infinite_width(of(smaller), inputs, widths=(smaller, width), seed=seed)
            narrow = tangent_parts(others, inputs), there
        except (KernelError, FactoryError) as error:
            notes.append(f"no power of the width: at width {smaller} {error}")
    return limit_kernels(networks, limit, narrow, (smaller, width)), notes


def _profile(
    make: Callable[..., Any],
    dials: Mapping[str, int] | None,
    makes: list[Callable[[], nn.Module]],
    inputs: Any,
    seed: int,
) -> tuple[DepthProfile, list[str]]:
    streams, other, notes = measure_streams(makes, inputs), None, []
    if dials is not None and DEPTH in dials:
        depth = dials[DEPTH]
        size = {**dials, DEPTH: depth // _APART if depth >= _SHALLOW else depth * _APART}
        others = [_maker(make, size, derive(seed, "other depth", i)) for i in range(len(makes))]
        other = measure_streams(others, inputs)
    if streams.others:
        notes.append(
            f"{streams.others} residual branches of other stages or towers are outside the longest stream"
        )
    return depth_profile(streams, other), notes


def _try(model: nn.Module, inputs: Any) -> None:
    """Raise `PlanError` where a model cannot be called with the inputs."""
    try:
        with undisturbed(model), torch.no_grad():
            call(model, copied(inputs))
    except SimilitudeError:
        raise
    except Exception as error:
        shapes = ", ".join(str(tuple(t.shape)) for t in tree_flatten(inputs)[0] if isinstance(t, Tensor))
        raise PlanError(
            f"{type(model).__name__} cannot be called with inputs of shape {shapes}: {type(error).__name__}: {error}. "
            "Pass what the model takes: a tensor, a tuple of arguments or a dict of keyword arguments."
        ) from error


def _maker(make: Callable[..., Any], dials: Mapping[str, int] | None, seed: int) -> Callable[[], nn.Module]:
    def made() -> nn.Module:
        if dials is not None:
            return build(make, dials, seed=seed)
        with seeded(seed):
            model = make()
        if not isinstance(model, nn.Module):
            raise PlanError(
                f"the function returned a {type(model).__name__}, not an nn.Module. Return the model itself."
            )
        return model

    return made


def _first(inputs: Any, count: int) -> tuple[Any, int]:
    """Return the first examples of inputs, and how many there are."""
    tensors = [leaf for leaf in tree_flatten(inputs)[0] if isinstance(leaf, Tensor) and leaf.ndim]
    if not tensors or not len(tensors[0]):
        raise PlanError(
            "inputs has no examples. Pass what the model takes, the first axis that of the examples."
        )
    rows = len(tensors[0])
    kept = min(rows, count)
    cut = lambda leaf: leaf[:kept] if isinstance(leaf, Tensor) and leaf.ndim and len(leaf) == rows else leaf  # noqa: E731
    if isinstance(inputs, Mapping):
        return {name: tree_map(cut, part) for name, part in inputs.items()}, kept
    return tree_map(cut, inputs), kept


def _check(networks: int, examples: int, tangent: int, limit: float) -> None:
    for name, value, least in (
        ("networks", networks, _FEWEST),
        ("examples", examples, 1),
        ("tangent", tangent, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise PlanError(f"{name}={value!r}: pass a whole number of at least {least}.")
    if not isinstance(limit, int | float) or not (math.isfinite(limit) and limit > 0):
        raise PlanError(f"limit={limit!r}: pass a positive relative variance, e.g. 0.1.")
