"""The examination of a model: every route on all of it, then the routes that break on its operations one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from similitude.landscape.curvature import Curvature
from similitude.landscape.doctor_patient import Base, Looks, Patient, calls_of, reference_of, short
from similitude.landscape.doctor_probes import probe_all
from similitude.landscape.doctor_process import LATE
from similitude.landscape.doctor_records import Finding, Reference, Result
from similitude.landscape.doctor_reference import relative
from similitude.landscape.doctor_subject import Subject
from similitude.landscape.doctor_verdict import TOLERANCES, named_operation
from similitude.landscape.routes import OURS, ROUTES, Route

_MARGIN = 3.0  # a product may be off by this many times what its reference is uncertain by
_SAME_LOSS, _SAME_GRADIENT = (
    1e-3,
    1e-2,
)  # relative differences of passes in float32 and float64 that rounding explains
_PROBE_TOLERANCES = {
    "float64": 1e-5,
    "float32": 1e-1,
}  # an operation alone may be at a point where it bends sharply
_TINY = 1e-12
_BAD: tuple[Result, ...] = ("wrong", "fails")


@dataclass(frozen=True)
class _Target:
    """What products are compared with: a flat product, the size that errors are relative to, and its uncertainty."""

    product: Tensor
    size: float
    uncertainty: float


@dataclass(frozen=True)
class _Taken:
    """A product that was taken: its distance from the target; of our own route the product itself and its symmetry."""

    error: float | None
    product: Tensor | None = None
    symmetry: float | None = None


class Examination:
    """One examination, whose results are filled in by `run`.

    Args:
        patient: The model.
        looks: What was seen of it.
        routes: To try, our own first.
        dtype: Of the reference, and of the probes of operations.
        base: Finite differences in that dtype.

    Attributes:
        findings: Routes on the whole model.
        probes: Routes that break there, on single operations.
        reference: What was compared with.
        symmetry: Of our own route; None where there is no product.
    """

    def __init__(
        self, patient: Patient, looks: Looks, routes: Sequence[Route], dtype: torch.dtype, base: Base
    ) -> None:
        self._patient, self._looks, self._routes = patient, looks, routes
        self._dtype, self._base = dtype, base
        self.findings: list[Finding] = []
        self.probes: list[Finding] = []
        self.symmetry: float | None = None
        d = base.difference
        self.reference = Reference(
            "finite differences" if d.settled else "none", d.uncertainty, d.step, _name(dtype), d.rough
        )

    def run(self) -> None:
        """Try every route in the dtype of the reference, then in float32, then what breaks on operations alone."""
        target = self._try_in_main_dtype()
        if self._dtype != torch.float32:
            low = self._target_in_float32(target)
            # What crashes or has no end in one dtype is not tried again in another.
            spared = {
                f.route
                for f in self.findings
                if f.result == "fails" and (ROUTES[f.route].crashes or f.reason.startswith(LATE))
            }
            self.findings += [
                self._try(route, torch.float32, low) for route in self._routes if route.name not in spared
            ]
        broken = {f.route: f for f in self.findings if f.dtype == _name(self._dtype) and f.result in _BAD}
        again = [route for route in self._routes if route.name in broken]
        if self._looks.fused:
            self.findings += [self._try(r, self._dtype, target, pin=True) for r in again if r.name != OURS]
        for route in again:
            if not broken[route.name].reason.startswith(LATE):
                self.probes += self._probe(route, broken[route.name])
        order = [route.name for route in self._routes]
        self.findings = sorted(map(self._blame, self.findings), key=lambda f: order.index(f.route))

    # ------------------------------------------------------------------ the whole model

    def _try_in_main_dtype(self) -> _Target | None:
        """Try every route; where finite differences do not settle, let agreeing ones be each other's reference."""
        difference = self._base.difference
        target = None
        if difference.settled:
            target = _Target(difference.product, difference.size, difference.uncertainty)
        taken, reason = self._take(self._routes[0], self._dtype, target, pin=True)
        if taken is not None:
            self.symmetry = taken.symmetry
            if target is None and taken.product is not None:
                # Products as small as the share of noise that differences have are not told apart.
                target = _Target(
                    taken.product, max(float(taken.product.norm()), difference.size * _TINY), 0.0
                )
        own = self._finding(self._routes[0], self._dtype, taken, reason, target, pin=True)
        others = [self._try(route, self._dtype, target) for route in self._routes[1:]]
        if not difference.settled:
            forward = {route.name for route in self._routes if route.forward}
            agreeing = [
                f.error for f in others if f.route in forward and f.result == "ok" and f.error is not None
            ]
            if agreeing and self.symmetry is not None:
                self.reference = replace(self.reference, kind="routes", uncertainty=min(agreeing))
                own = replace(own, error=min(agreeing))
            else:
                target = None
                own, *others = (_unsure(f) for f in (own, *others))
        self.findings += [own, *others]
        return target

    def _target_in_float32(self, target: _Target | None) -> _Target | None:
        """Return what to compare with in float32: the same, unless the pass in float32 is another function."""
        ended = self._patient.run(_loss_and_gradient, dtype=torch.float32)
        if ended.error or target is None:
            return target
        value, gradient = ended.items[0]
        base = self._base
        same = abs(value - base.loss) <= _SAME_LOSS * max(abs(base.loss), _TINY)
        if same and relative(gradient, base.gradient, float(base.gradient.norm())) <= _SAME_GRADIENT:
            return target
        # Another function: random numbers of another dtype are others, for one.
        other = reference_of(self._patient, torch.float32, random=self._looks.random)
        if isinstance(other, str) or not other.difference.settled:
            return None
        d = other.difference
        return _Target(d.product, d.size, d.uncertainty)

    def _try(
        self, route: Route, dtype: torch.dtype, target: _Target | None, *, pin: bool | None = None
    ) -> Finding:
        pin = route.name == OURS if pin is None else pin
        taken, reason = self._take(route, dtype, target, pin=pin)
        return self._finding(route, dtype, taken, reason, target, pin=pin)

    def _take(
        self, route: Route, dtype: torch.dtype, target: _Target | None, *, pin: bool
    ) -> tuple[_Taken | None, str]:
        """Take a product by a route in a process of its own; return it, or why there is none."""
        if route.crashes and not self._patient.forks:
            return None, ""
        own = route.name == OURS

        def work(subject: Subject) -> Iterator[_Taken]:
            product, symmetry = _ours(subject) if own else (subject.product(route, pin=pin), None)
            error = None if target is None else relative(product, target.product, target.size)
            yield _Taken(error, product if own and target is None else None, symmetry)

        ended = self._patient.run(work, dtype=dtype)
        return (ended.items[0], "") if ended.items else (None, short(ended.error))

    def _finding(
        self,
        route: Route,
        dtype: torch.dtype,
        taken: _Taken | None,
        reason: str,
        target: _Target | None,
        *,
        pin: bool,
    ) -> Finding:
        name = _name(dtype)
        if taken is None:
            return Finding(route.name, name, "fails" if reason else "untried", reason=reason, written_out=pin)
        if target is None:
            return Finding(route.name, name, "unsure", written_out=pin)
        error = 0.0 if taken.error is None else taken.error
        good = error <= max(TOLERANCES[name], _MARGIN * target.uncertainty)
        return Finding(route.name, name, "ok" if good else "wrong", error, written_out=pin)

    # ------------------------------------------------------------------ operations alone

    def _probe(self, route: Route, broken: Finding) -> list[Finding]:
        """Try a route on every operation, in one process for as long as it lives."""
        named = named_operation(broken.reason, self._looks.operations)
        # Routes that may crash also take seconds per operation: the first that breaks them is enough.
        only = {named.name} if named is not None and route.crashes else None
        found: list[Finding] = []
        names: list[tuple[str, tuple[str, ...]]] = []
        while not names or len(found) < len(names):
            ended = self._patient.run(self._probing(route, only, start=len(found)), dtype=self._dtype)
            if not ended.items:
                break  # the pass that collects the operations fails
            names = ended.items[0]
            for error, reason in ended.items[1:]:
                found.append(self._probed(route, names[len(found)], error, reason))
            if ended.died and len(found) < len(names):  # of this one: go on behind it
                found.append(self._probed(route, names[len(found)], None, ended.error))
            if not ended.died or route.crashes:
                break
        return found

    def _probing(
        self, route: Route, only: set[str] | None, *, start: int
    ) -> Callable[[Subject], Iterator[Any]]:
        def work(subject: Subject) -> Iterator[Any]:
            calls = [
                c
                for c in calls_of(subject, pin=route.name == OURS).values()
                if c.bends and (only is None or c.name in only)
            ]
            yield [(call.name, tuple(call.modules)) for call in calls]
            for error, reason in probe_all(calls[start:], route, dtype=self._dtype, seed=self._patient.seed):
                yield error, reason
                if route.crashes and (
                    reason or (error is not None and error > _PROBE_TOLERANCES[_name(self._dtype)])
                ):
                    return

        return work

    def _probed(
        self, route: Route, operation: tuple[str, tuple[str, ...]], error: float | None, reason: str
    ) -> Finding:
        name = _name(self._dtype)
        if error is None:
            result: Result = "fails"
        elif error != error:
            result, error = "unsure", None
        else:
            result = "ok" if error <= _PROBE_TOLERANCES[name] else "wrong"
        return Finding(
            route.name, name, result, error, short(reason), *operation, written_out=route.name == OURS
        )

    def _blame(self, found: Finding) -> Finding:
        """Name the operation that a failure is about: the one that its error names, or that fails alone."""
        if found.result not in _BAD:
            return found
        named = named_operation(found.reason, self._looks.operations)
        if named is not None:
            return replace(found, operation=named.name, modules=named.modules)
        alone = [p for p in self.probes if p.route == found.route and p.result == found.result]
        if alone:
            return replace(found, operation=alone[0].operation, modules=alone[0].modules)
        return found


def _ours(subject: Subject) -> tuple[Tensor, float]:
    """Take our own route's product with the first direction, and its asymmetry with a second one."""
    v, u = (subject.space.join(subject.direction(number)) for number in (0, 1))
    with Curvature(subject.model, subject.loss, subject.batch, seed=subject.seed) as curv:
        operator = curv.operator("hessian")
        hv, hu = operator.matvec(v), operator.matvec(u)
    typical = float(hv.norm() * u.norm() + hu.norm() * v.norm()) / 2 / len(v) ** 0.5
    uneven = abs(float(u @ hv - v @ hu))
    return hv.double().cpu(), uneven / typical if typical else 0.0


def _loss_and_gradient(subject: Subject) -> Iterator[tuple[float, Tensor]]:
    with torch.no_grad():
        value = float(subject.value(pin=False).detach())
    yield value, subject.gradient(0.0, subject.direction(0))


def _unsure(found: Finding) -> Finding:
    return found if found.result in ("fails", "untried") else replace(found, result="unsure", error=None)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
