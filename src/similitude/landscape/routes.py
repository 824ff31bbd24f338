"""The ways that PyTorch offers to a Hessian-vector product, each as a function of a scalar function and a point."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd import forward_ad

from similitude.core.errors import CurvatureError

Scalar = Callable[..., Tensor]
"""A function of some tensors that returns one number."""

Product = Callable[[Scalar, Sequence[Tensor], Sequence[Tensor]], list[Tensor]]
"""A product of the Hessian of a function, at a point, with a direction; all three lists have the same shapes."""

OURS = "curvature"
"""Name of the route that `similitude.Curvature` takes."""

SHIFT = 1 / 3
"""A central difference of step h has an error of h^2, and one of eps / h by rounding: eps^(1/3) balances them."""


@dataclass(frozen=True)
class Route:
    """One way to a Hessian-vector product.

    Attributes:
        name: What it is asked for by.
        says: What it is, in the words of PyTorch's interface.
        product: The product of a function's Hessian with a direction.
        substitutes: Whether it evaluates the function at tensors of its own, and not at the parameters themselves.
        crashes: Whether it is known to end the interpreter on some operation, so that it is tried in a process alone.
        forward: Whether it uses derivatives of forward mode, whose formulas are others than those of backward mode.
    """

    name: str
    says: str
    product: Product
    substitutes: bool = True
    crashes: bool = False
    forward: bool = False


def double_backward(f: Scalar, point: Sequence[Tensor], direction: Sequence[Tensor]) -> list[Tensor]:
    """Differentiate the gradient's graph once more, H v = d(g . v) / d theta.

    Args:
        f: A function.
        point: Tensors that require gradients, which `f` is evaluated at.
        direction: Tensors of the same shapes.

    Returns:
        The product, one tensor per tensor of the point.

    Example:
        >>> point, direction = [torch.tensor([1.0, 2.0], requires_grad=True)], [torch.tensor([1.0, 0.0])]
        >>> double_backward(lambda t: (t**3).sum(), point, direction)
        [tensor([6., 0.])]
    """
    gradient = gradient_of(f, point, create_graph=True)
    pairs = [(g, v) for g, v in zip(gradient, direction, strict=True) if g.requires_grad]
    if not pairs:  # the gradient does not depend on the point at all
        return [torch.zeros_like(p) for p in point]
    first, second = zip(*pairs, strict=True)
    found = torch.autograd.grad(first, point, second, allow_unused=True)
    return _filled(found, point)


def gradient_of(f: Scalar, point: Sequence[Tensor], *, create_graph: bool = False) -> list[Tensor]:
    """Return the gradient of a function at a point; tensors that it does not use get zeros."""
    found = torch.autograd.grad(f(*point), point, create_graph=create_graph, allow_unused=True)
    return _filled(found, point)


def central_difference(f: Scalar, point: Sequence[Tensor], direction: Sequence[Tensor]) -> list[Tensor]:
    """Difference two gradients, one step each way, in the dtype of the point."""
    h = torch.finfo(point[0].dtype).eps ** SHIFT * step_scale(point, direction)
    ends = []
    for sign in (1, -1):
        moved = [(p + sign * h * v).detach().requires_grad_() for p, v in zip(point, direction, strict=True)]
        ends.append(gradient_of(f, moved))
    return [(a - b) / (2 * h) for a, b in zip(*ends, strict=True)]


def step_scale(point: Sequence[Tensor], direction: Sequence[Tensor]) -> float:
    """Return the multiple of a direction that is as long as the point: steps are small or large beside it.

    Example:
        >>> step_scale([torch.tensor([3.0, 4.0])], [torch.tensor([0.5, 0.0])])
        10.0
    """
    size, length = (
        sum(float(t.detach().double().square().sum()) for t in ts) ** 0.5 for ts in (point, direction)
    )
    count = sum(p.numel() for p in point)
    # Parameters that are all zero have no size to go by; 1 % of ordinary entries is small in most nets.
    return (size or 0.01 * count**0.5) / length if length else 1.0


def routes_by_name(names: Sequence[str] | str | None) -> tuple[Route, ...]:
    """Return some routes, our own always first; all of them for None.

    Raises:
        CurvatureError: There is none of a name.

    Example:
        >>> [route.name for route in routes_by_name(["jvp_grad"])]
        ['curvature', 'jvp_grad']
    """
    if names is None:
        return tuple(ROUTES.values())
    names = (names,) if isinstance(names, str) else names
    if unknown := [name for name in names if name not in ROUTES]:
        raise CurvatureError(
            f"routes: there is no route {', '.join(map(repr, unknown))}. Name some of: {', '.join(ROUTES)}."
        )
    return tuple(route for name, route in ROUTES.items() if name == OURS or name in names)


def load_lazily_imported(routes: Sequence[Route]) -> None:
    """Load what PyTorch imports at the first use of these routes, so that it is not loaded anew in every process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # linearize warns of its own insides
        for route in routes:
            route.product(lambda t: t * t * t, [torch.ones((), requires_grad=True)], [torch.ones(())])


def _jvp_grad(f: Scalar, point: Sequence[Tensor], direction: Sequence[Tensor]) -> list[Tensor]:
    return list(torch.func.jvp(_grad(f, point), tuple(point), tuple(direction))[1])


def _vjp_grad(f: Scalar, point: Sequence[Tensor], direction: Sequence[Tensor]) -> list[Tensor]:
    return list(torch.func.vjp(_grad(f, point), *point)[1](tuple(direction)))


def _grad_jvp(f: Scalar, point: Sequence[Tensor], direction: Sequence[Tensor]) -> list[Tensor]:
    def slope(*at: Tensor) -> Tensor:
        return torch.func.jvp(f, at, tuple(direction))[1]

    return list(_grad(slope, point)(*point))


def _dual(f: Scalar, point: Sequence[Tensor], direction: Sequence[Tensor]) -> list[Tensor]:
    with forward_ad.dual_level():
        at = [
            forward_ad.make_dual(p.detach().requires_grad_(), v)
            for p, v in zip(point, direction, strict=True)
        ]
        found = torch.autograd.grad(f(*at), at, allow_unused=True)
        tangents = [None if g is None else forward_ad.unpack_dual(g).tangent for g in found]
        return [t.detach().clone() for t in _filled(tangents, point)]


def _linearize(f: Scalar, point: Sequence[Tensor], direction: Sequence[Tensor]) -> list[Tensor]:
    return list(torch.func.linearize(_grad(f, point), *point)[1](*direction))


def _grad(f: Scalar, point: Sequence[Tensor]) -> Callable[..., tuple[Tensor, ...]]:
    return torch.func.grad(f, argnums=tuple(range(len(point))))


def _filled(found: Sequence[Tensor | None], point: Sequence[Tensor]) -> list[Tensor]:
    return [torch.zeros_like(p) if t is None else t for t, p in zip(found, point, strict=True)]


_LIST = (
    Route(OURS, "double backward, graph kept, attention as math", double_backward, substitutes=False),
    Route("double_backward", "autograd.grad of autograd.grad", double_backward, substitutes=False),
    Route("jvp_grad", "func.jvp of func.grad", _jvp_grad, forward=True),
    Route("vjp_grad", "func.vjp of func.grad", _vjp_grad),
    Route("grad_jvp", "func.grad of func.jvp", _grad_jvp, forward=True),
    Route("dual", "autograd.grad of a forward_ad dual", _dual, forward=True),
    Route("linearize", "func.linearize of func.grad", _linearize, crashes=True, forward=True),
    Route("finite_differences", "two gradients, in the same dtype", central_difference),
)
ROUTES: dict[str, Route] = {route.name: route for route in _LIST}
"""Every route by its name, our own first."""
