"""The trials behind a measured optimizer: degrees in gradient, learning rate, eps and own size; the law of shapes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from similitude.core.errors import PlanError
from similitude.core.seeding import torch_generator
from similitude.scaling.measured import MeasuredOptimizer
from similitude.scaling.shape_laws import CONSTANT, ENTRIES, Point, ShapeFit, fit_shapes
from similitude.scaling.trial import OptimizerLike, TrialError, aligned_gradients, steps_of

_HORIZON = 40  # steps in which a change of law is looked for: warm starts of preconditioners are shorter
_LONGEST_SETTLING = 8  # of the first steps that may follow another law; a check sees not many more
_STEPS = 6  # steps whose sizes are averaged
_DRAWS = 2  # draws of gradients whose sizes are averaged
_LR, _SCALE = 2.0**-10, 2.0**-4  # of the trials; by how much a gradient is made smaller
_WHOLE = 0.06  # how near a degree must be to a whole number
_COUPLED = 0.02  # relative change of a step by another tensor's gradient that is more than rounding
_SMALL = 1e-8  # what eps is multiplied by where the geometry without it is asked for
_CLEAN = 0.99  # cosine with the weights from which on a decay shrinks them
_EXACT = 0.01  # part of what a decay adds that may be left unexplained
_DAMPED = 1e-6  # entries of gradients that a constant may damp: those of most networks are larger


class Measurement:
    """The trials of one optimizer, in the order in which the law that one finds rests on those before.

    Args:
        factory: The optimizer.
        sides: Sides of the throw-away matrices.
        seed: Seed of gradients and weights.
        start: Name and defaults; the result is this with what was found.
        own_lr: Learning rate that the optimizer has by itself, where it has one.
    """

    def __init__(
        self,
        factory: OptimizerLike,
        sides: Sequence[int],
        seed: int,
        start: MeasuredOptimizer,
        own_lr: float | None,
    ) -> None:
        self.factory, self.sides, self.seed, self.found = factory, sides, seed, start
        self.options: dict[str, Any] = {"lr": _LR, "weight_decay": 0.0}
        eps = start.defaults.get("eps")
        self.eps = float(eps) if isinstance(eps, float | int) and eps else None
        self.own_lr = own_lr
        self.degrees: dict[str, float | None] = {}

    def run(self) -> MeasuredOptimizer:
        """Make the trials; stop at the first that no rule fits."""
        side = self.sides[0]
        gradients = aligned_gradients(side, side, _HORIZON, seed=self.seed)
        base = self.steps((side, side), gradients)
        gradient, settling = self.gradient_degree(side, gradients, base)
        self.found = replace(self.found, settling=settling, exponents=self.exponents(gradient=gradient))
        for law in (self.eps_weight, self.lr_degree, self.independence):
            reason = law(side, gradients, base)
            if reason:
                return self.refused(reason)
        if settling > _LONGEST_SETTLING:
            return self.refused(
                f"its first {settling} steps follow another law than later ones do, so no factor on the learning rate "
                "fits both. Let it begin at once, where it has an option for that"
            )
        if min(abs(gradient), abs(gradient - 1)) > _WHOLE:
            return self.refused(
                f"its steps grow as the gradient's size to the power {gradient:.2f}; rules exist for 1 (gradients) "
                "and 0 (normalized ones)"
            )
        fit = self.shapes(settling)
        if isinstance(fit, str):
            return self.refused(fit)
        law = fit.law
        assert law is not None
        family = "sgd" if round(gradient) == 1 else "entrywise" if law is ENTRIES else "orthogonalized"
        if law is not ENTRIES and (family == "sgd" or self.found.relative):
            kind = "the gradient's size" if family == "sgd" else "the tensor's own size"
            return self.refused(
                f"its steps follow {kind} and the shape as {law.name}; no rule is made for that"
            )
        self.found = replace(self.found, family=family)
        if family != "sgd" and self.eps is not None:
            reason = self.eps_power(side)
            if reason:
                return self.refused(reason)
        return replace(
            self.found,
            decay=self.decay(side),
            vectors=self.vectors(),
            convolutions=self.takes((side, 8, 3, 3)),
            warnings=self.found.warnings + self.warnings(),
        )

    def exponents(self, **more: float | None) -> dict[str, float | None]:
        """Note some exponents and return all."""
        names = ("fan_in", "fan_out", "gradient", "weight", "lr", "eps")
        self.degrees.update({name: None if v is None else round(v, 4) + 0.0 for name, v in more.items()})
        return {name: self.degrees.get(name) for name in names}

    def refused(self, reason: str) -> MeasuredOptimizer:
        """Return what was found so far, with the reason why it is not enough."""
        return replace(self.found, family="refused", reason=reason, exponents=self.exponents())

    def steps(
        self,
        shape: tuple[int, ...],
        gradients: Sequence[Tensor],
        *,
        weight: float = 1.0,
        eps: float | None = None,
        other: float | None = None,
        **options: Any,
    ) -> list[Tensor]:
        """Try the optimizer on a tensor with entries of fan-in^-1/2, without weight decay unless it is given.

        Args:
            shape: Shape of the tensor.
            gradients: For every step.
            weight: What the tensor's values are multiplied by.
            eps: What the optimizer's eps is set to; a negligible one by default, where it has one.
            other: Size of the gradients of a second tensor beside it; no such tensor by default.
            **options: Set in the parameter groups.
        """
        values = weight * self.weights(shape)
        given = {**self.options, **options}
        if self.eps is not None:
            given["eps"] = self.eps * _SMALL if eps is None else eps
        tensors = [values] if other is None else [values, values.flip(0)]
        every = [[g] if other is None else [g, other * g.flip(0)] for g in gradients]
        return steps_of(self.factory, tensors, every, options=given, seed=self.seed)

    def weights(self, shape: tuple[int, ...]) -> Tensor:
        """Draw a tensor whose root mean square is exactly fan-in^-1/2, since some steps are relative to it."""
        values = torch.randn(shape, generator=torch_generator(self.seed, "weights"), dtype=torch.float64)
        return values * (values.numel() / math.prod(shape[1:])) ** 0.5 / values.norm()

    def gradient_degree(
        self, side: int, gradients: Sequence[Tensor], base: Sequence[Tensor]
    ) -> tuple[float, int]:
        """Return the degree in the gradient, and the number of first steps that have another."""
        smaller = self.steps((side, side), [_SCALE * g for g in gradients])
        degrees = [_degree(a, b, _SCALE) for a, b in zip(base, smaller, strict=True)]
        later = [d for d in degrees[_HORIZON // 2 :] if d is not None]
        if not later:
            raise TrialError("it makes no step that can be measured")
        final = later[-1]
        other = [i for i, d in enumerate(degrees) if d is None or abs(d - final) > _WHOLE]
        return final, other[-1] + 1 if other else 0

    def eps_weight(self, side: int, gradients: Sequence[Tensor], base: Sequence[Tensor]) -> str:
        """Return a reason where eps decides the size of steps although gradients are much larger than it."""
        if self.eps is None:
            return ""
        own = self.steps((side, side), gradients, eps=self.eps)
        ratios = [_size(a) / max(_size(b), 1e-300) for a, b in zip(base, own, strict=True) if _size(a) > 0]
        ratio = max(ratios, key=lambda r: max(r, 1 / r) if r else math.inf)
        if 0.5 <= ratio <= 2:
            return ""
        return (
            "its eps sets the size of its steps on gradients that are much larger than it (they are "
            f"{ratio:.2g} times as large with an eps that is negligible), so no law of the shape holds"
        )

    def lr_degree(self, side: int, gradients: Sequence[Tensor], base: Sequence[Tensor]) -> str:
        """Return a reason where steps are not in proportion to the learning rate."""
        lr = self.own_lr or _LR  # some measure how far they have come, which tiny steps would not show
        quick, slow = (self.steps((side, side), gradients, lr=rate)[-1] for rate in (lr, lr / 4))
        degree = _degree(quick, slow, 0.25)
        self.exponents(lr=degree)
        if degree is not None and abs(degree - 1) <= _WHOLE:
            return ""
        shown = "nothing" if degree is None else f"its power {round(degree, 2) + 0.0:.2f}"
        return (
            f"its steps grow with the learning rate as {shown} and not in proportion, so no factor on it fits"
        )

    def independence(self, side: int, gradients: Sequence[Tensor], base: Sequence[Tensor]) -> str:
        """Return a reason where the step of one tensor depends on another's gradient."""
        own = (
            {} if self.own_lr is None else {"lr": self.own_lr}
        )  # some compare their steps with the way made so far
        try:
            one, large = (self.steps((side, side), gradients, other=size, **own)[-1] for size in (1.0, 64.0))
        except (TrialError, PlanError):  # two tensors at once are refused only where one is
            return ""
        change = _size(one - large) / max(_size(one), 1e-300)
        if change <= _COUPLED:
            return ""
        return (
            f"a step of one tensor changes by {100 * change:.0f} % when the gradient of another grows 64-fold, so "
            "factors of single tensors do not add up to a rule"
        )

    def shapes(self, settling: int) -> ShapeFit | str:
        """Fit the law of the shape; return the reason where there is none."""
        pairs = [(rows, columns) for rows in self.sides for columns in self.sides]
        sizes = {weight: [self.mean_size(pair, settling, weight) for pair in pairs] for weight in (1.0, 4.0)}
        degrees = [math.log(b / a) / math.log(4) for a, b in zip(sizes[1.0], sizes[4.0], strict=True)]
        weight = sum(degrees) / len(degrees)
        self.exponents(weight=weight)
        low, high = min(degrees), max(degrees)
        relative = abs(weight - 1) <= _WHOLE
        rms = [columns**-0.5 if relative else 1.0 for _, columns in pairs]
        points = tuple(
            Point(rows, columns, size / own)
            for (rows, columns), size, own in zip(pairs, sizes[1.0], rms, strict=True)
        )
        fit = fit_shapes(points)
        self.found = replace(
            self.found,
            exponents=self.exponents(fan_in=fit.fan_in, fan_out=fit.fan_out),
            points=points,
            residual=fit.residual,
            law=fit.law.name if fit.law else "",
            shape_law=fit.law or CONSTANT,
        )
        if max(abs(d - round(weight)) for d in (low, high)) > 2 * _WHOLE or not 0 <= round(weight) <= 1:
            return (
                f"its steps follow the tensor's own size with a power from {round(low, 2) + 0.0:.2f} to {high:.2f}, "
                "depending on the shape: a bound on that size, or a constant beside it, sets in. Remove it, where it is "
                "an option"
            )
        if fit.law is None:
            return (
                f"its steps grow as fan_in^{fit.fan_in:.2f} fan_out^{fit.fan_out:.2f} (within "
                f"{100 * fit.residual:.0f} %), which is none of the laws that a rule is made for"
            )
        return fit

    def mean_size(self, pair: tuple[int, int], settling: int, weight: float) -> float:
        """Return the geometric mean of a few steps' sizes over the learning rate."""
        logs = []
        for draw in range(_DRAWS):
            gradients = aligned_gradients(*pair, settling + _STEPS, seed=self.seed + draw)
            logs += [math.log(_size(u) / _LR) for u in self.steps(pair, gradients, weight=weight)[settling:]]
        return math.exp(sum(logs) / len(logs))

    def eps_power(self, side: int) -> str:
        """Find by which power of the gradient's size eps must move; return a reason where none does."""
        assert self.eps is not None
        eps, count = self.eps, self.found.settling + 2
        gradients = aligned_gradients(side, side, count, seed=self.seed)

        def last(scale: float, eps: float) -> Tensor:
            return self.steps((side, side), [scale * g for g in gradients], eps=eps)[-1]

        full = _size(last(1.0, eps * _SMALL))
        if _size(last(1e-30, eps)) > full / 2:
            return ""  # eps does not damp steps
        half = 10.0 ** _bisect(lambda log: _size(last(10.0**log, eps)) - full / 2, -30.0, 6.0)
        target, smaller = last(half, eps), half * _SCALE
        power = _bisect(lambda k: _size(last(smaller, eps * _SCALE**k)) - _size(target), -1.0, 4.0)
        off = _size(last(smaller, eps * _SCALE**power) - target) / _size(target)
        if off <= _WHOLE and min(abs(power - 1), abs(power - 2)) <= _WHOLE:
            self.found = replace(self.found, exponents=self.exponents(eps=power))
            return ""
        if half <= _DAMPED:
            name = self.found.name
            text = f"{name} damps gradients below {half:.1g} by a constant that no eps makes up for, whatever the width"
            self.found = replace(self.found, warnings=(text,))
            return ""
        self.exponents(eps=power)
        return (
            f"gradients below {half:.1g} make other steps, and no eps mends it: the nearest to the step of a gradient "
            f"x c has eps x c^{power:.2f} and is {100 * off:.0f} % off"
        )

    def decay(self, side: int) -> str:
        """Tell what weight decay does to a later step, from runs with and without it; "other" where no law is clean."""
        if "weight_decay" not in self.found.defaults:
            return "none"
        shape, wd = (side, side), 2.0**-4
        gradients = [0.2 * g for g in aligned_gradients(side, side, self.found.settling + 4, seed=self.seed)]

        def added(given: Sequence[Tensor], lr: float = _LR) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
            """Return what the decay adds to the last step, the weights before it, all steps, the last without it."""
            without, steps = (self.steps(shape, given, lr=lr, weight_decay=value) for value in (0.0, wd))
            before = self.weights(shape) - torch.stack(steps[:-1]).sum(0)
            return steps[-1] - without[-1], before, steps, without[-1]

        change, weight, steps, bare = added(gradients)
        nothing = 1e-9 * _size(weight)
        if _size(change) <= nothing:
            return "none"
        if _cosine(change, weight) >= _CLEAN:
            slow = added(gradients, _LR / 4)[0]
            power = math.log(max(_size(slow), 1e-300) / _size(change)) / math.log(0.25)
            kind = {0: "fixed", 1: "shrink"}.get(round(power), "other")
            with contextlib.suppress(
                TrialError
            ):  # a row of zeros is nothing that every optimizer can normalize
                small = _SCALE * gradients[-1]
                small[side // 2 :] = 0  # not all, for some skip tensors whose gradient is zero
                still, at, _, _ = added([*gradients[:-1], small])
                same = abs(_size(still) / _size(change) - 1) <= _WHOLE and _cosine(still, at) >= _CLEAN
                kind = kind if same else "other"
            return kind if abs(power - round(power)) <= _WHOLE else "other"
        if _cosine(change, weight) <= -_CLEAN:
            return "other"  # it makes weights grow
        # As a part of the gradient it does what a gradient with weight decay x weight added to it does, exactly; where
        # gradient and decay are normalized together, it adds a multiple of the weight to a multiple of the step.
        taken = torch.stack([torch.zeros_like(weight), *steps[:-1]]).cumsum(0)
        joined = [g + wd * (self.weights(shape) - way) for g, way in zip(gradients, taken, strict=True)]
        alike = self.steps(shape, joined, lr=_LR, weight_decay=0.0)
        if _size(alike[-1] - steps[-1]) <= _EXACT * _size(change):
            return "gradient"
        span = torch.stack([weight.flatten() / weight.norm(), bare.flatten() / bare.norm()], 1)
        left = change.flatten() - span @ torch.linalg.lstsq(span, change.flatten()).solution
        return "gradient" if float(left.norm()) <= _EXACT * float(change.norm()) else "other"

    def vectors(self) -> str:
        """Tell the family of steps on vectors."""
        settling = self.found.settling

        def size(n: int, scale: float) -> float:
            logs = []
            for draw in range(2 * _DRAWS):
                drawn = aligned_gradients(n, n, settling + _STEPS, seed=self.seed + draw)
                logs += [
                    math.log(_size(u)) for u in self.steps((n,), [scale * g[:, 0] for g in drawn])[settling:]
                ]
            return sum(logs) / len(logs)

        small, large = self.sides[0], self.sides[-1]
        try:
            before = size(small, 1.0)
            growth = (size(large, 1.0) - before) / math.log(large / small)
            degree = (size(small, _SCALE) - before) / math.log(_SCALE)
        except (TrialError, PlanError, ValueError):  # a step of nothing has no size
            return "refused"
        if abs(growth - 0.5) > 0.15:
            return "orthogonalized" if abs(growth) <= 0.15 and abs(degree) <= _WHOLE else "refused"
        return "sgd" if abs(degree - 1) <= _WHOLE else "entrywise" if abs(degree) <= _WHOLE else "refused"

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Tell whether it makes steps on tensors of a shape."""
        generator = torch_generator(self.seed, "convolution")
        try:
            steps = self.steps(shape, [torch.randn(shape, generator=generator, dtype=torch.float64)] * 2)
        except (TrialError, PlanError):
            return False
        return _size(steps[-1].flatten(1)) > 0

    def warnings(self) -> tuple[str, ...]:
        """Write what a user should know."""
        name, texts = self.found.name, []
        if self.found.settling:
            texts.append(
                f"{name} follows another law in its first {self.found.settling} steps than in its later ones, for which "
                "the factors are: a warm-up that depends on the width"
            )
        if self.found.family != "sgd" and self.found.exponents["eps"] is None and self.eps is None:
            side = self.sides[0]
            gradients = aligned_gradients(side, side, self.found.settling + 2, seed=self.seed)
            tiny = self.steps((side, side), [1e-7 * g for g in gradients])[-1]
            usual = self.steps((side, side), gradients)[-1]
            if _size(tiny) < 0.5 * _size(usual):
                texts.append(
                    f"{name} makes smaller steps on tiny gradients and has no eps that a group could set, so very wide "
                    "networks may leave its law"
                )
        return tuple(texts)


def _size(step: Tensor) -> float:
    """Spectral norm of a matrix, from the smaller Gram matrix; Euclidean norm of a vector."""
    if step.ndim != 2:
        return float(step.norm())
    scale = float(step.abs().max()) or 1.0  # squares of tiny steps would be lost
    unit = (step if step.shape[0] <= step.shape[1] else step.T) / scale
    return scale * float(torch.linalg.eigvalsh(unit @ unit.T)[-1].clamp(min=0).sqrt())


def _cosine(one: Tensor, other: Tensor) -> float:
    return float((one * other).sum() / (one.norm() * other.norm()).clamp(min=1e-300))


def _degree(step: Tensor, scaled: Tensor, scale: float) -> float | None:
    """Return the power of `scale` that takes one size to the other; None where one of them is 0."""
    before, after = _size(step), _size(scaled)
    return math.log(after / before) / math.log(scale) if before > 0 and after > 0 else None


def _bisect(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function changes its sign, or the end that is nearer to it."""
    rising = function(high) > function(low)
    for _ in range(18):
        middle = (low + high) / 2
        low, high = (low, middle) if (function(middle) > 0) == rising else (middle, high)
    return (low + high) / 2
