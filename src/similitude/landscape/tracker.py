"""Sharpness along training, every few steps, at a few Hessian products each: searches start from what the last one
found, and remain open to another direction that has come on top since."""

from __future__ import annotations

import math
import os
from typing import Any

import torch
from torch import Tensor, nn

from similitude.core.errors import CurvatureError
from similitude.core.seeding import torch_generator
from similitude.core.verdict import Verdict
from similitude.landscape.batches import read_batches
from similitude.landscape.curvature import Curvature
from similitude.landscape.lanczos import lanczos
from similitude.landscape.operators import Operator
from similitude.landscape.tracker_records import SharpnessHistory, SharpnessRecord, add, append
from similitude.landscape.units import Units, units_of
from similitude.landscape.vectors import ParameterSpace
from similitude.landscape.warm_start import (
    COLD,
    COLD_LARGE,
    COLD_NOISE,
    NOISE,
    SMALL,
    WARM,
    Found,
    WarmStart,
    random_unit,
    search,
    unit,
)
from similitude.training.loop import Loss


class SharpnessTracker:
    """Measure the sharpness along training, in the optimizer's own units: one line in any loop.

    Call `update` after every step. Every `every` steps it measures the largest eigenvalue of the Hessian of the loss on a
    fixed probe, and compares learning rate times eigenvalue with the optimizer's threshold: 2 for gradient descent, 38
    for Adam at beta1 = 0.9. The training is not disturbed: parameters, gradients, buffers, modes and random numbers are
    bit for bit those of a run without a tracker.

    Args:
        loss: `loss(model, batch) -> scalar`, the one that is trained, without its penalties on weights.
        every: Steps between measurements.
        probe: The data: one batch (a tensor, tuple or dict), or a list or iterable of batches, over whose examples the
            mean is taken. It is the same at all times, so that the curve shows the model alone.
        tol: Relative error of an eigenvalue.
        k: How many of the largest eigenvalues to find each time.
        directional: Whether to measure the curvature along the last update too, which every optimizer has. It costs one
            product, and a copy of the parameters during one step.
        cold_every: Measurements after which a search begins anew: half of what it begins with is then random.
        precondition: Whether to measure in the geometry of the optimizer; the plain Hessian where False.
        log: A file that gets each record at once, one JSON object per line; `SharpnessHistory.load` reads it.
        seed: Seed of random directions, and of what random layers draw on the probe.

    Raises:
        CurvatureError: An argument is out of range, or the probe is empty.

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> x = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
        >>> loss = lambda model, x: model(x).square().sum() / 2
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
        >>> tracker = SharpnessTracker(loss, every=2, probe=x)
        >>> for step in range(1, 7):
        ...     optimizer.zero_grad()
        ...     loss(model, x).backward()
        ...     optimizer.step()
        ...     record = tracker.update(model, optimizer, step)
        >>> [(record.step, round(record.eta_lambda, 6), record.threshold) for record in tracker.records]
        [(2, 1.0, 2.0), (4, 1.0, 2.0), (6, 1.0, 2.0)]

    A direction that was not near the top before may be there at the next measurement. The search begins with what was
    near the top, the gradient and a random direction. Up to 1000 parameters it also looks along another random direction
    at its end, until an eigenvalue that is 3 % larger would have shown with a probability of 0.98 (0.995 every
    `cold_every` measurements, for any larger one). Beyond, a larger eigenvalue along a direction that neither the
    gradient nor what was near the top has a part of may be seen some measurements late.

    Cost: per measurement a gradient with its graph, and Hessian products at 1.4 to 3 gradients each: 3 to 5 on the
    average, up to 10 where several eigenvalues are at the edge together, and up to 1000 parameters 2 to 5 more.
    """

    def __init__(
        self,
        loss: Loss,
        *,
        probe: Any,
        every: int = 10,
        tol: float = 1e-3,
        k: int = 1,
        directional: bool = False,
        cold_every: int = 10,
        precondition: bool = True,
        log: str | os.PathLike[str] | None = None,
        seed: int = 0,
    ) -> None:
        for name, value in (("every", every), ("cold_every", cold_every), ("k", k)):
            if value < 1:
                raise CurvatureError(f"SharpnessTracker: {name}={value}: give a whole number of at least 1.")
        if not 0 < tol < 1:
            raise CurvatureError(
                f"SharpnessTracker: tol={tol}: the relative error of an eigenvalue must lie between 0 and 1, e.g. 1e-3."
            )
        self.loss, self.every, self.tol, self.k = loss, every, tol, k
        self.directional, self.cold_every, self.precondition = directional, cold_every, precondition
        self.log, self.seed = log, seed
        self.records: list[SharpnessRecord] = []
        self.probe = [batch for batch, _ in read_batches(probe)]
        self._generator = torch_generator(seed, "tracker")
        self._warm: WarmStart | None = None
        self._geometry = ""
        self._since_cold = 0
        self._before: tuple[int, Tensor] | None = None

    @property
    def history(self) -> SharpnessHistory:
        """The records as a history, with a verdict, tables and files."""
        return SharpnessHistory.of(self.records)

    def verdict(self) -> Verdict:
        """Say in words and numbers where the run is: below the edge of stability, at it or beyond."""
        return self.history.verdict()

    def update(
        self, model: nn.Module, optimizer: torch.optim.Optimizer | None, step: int
    ) -> SharpnessRecord | None:
        """Measure if the step is one of those: call this after every optimizer step, or before the first with step 0.

        Args:
            model: The model that is trained; compiled and replicated ones are unwrapped.
            optimizer: Its optimizer; None measures the plain Hessian.
            step: Optimizer steps made so far.

        Returns:
            The record, or None between measurements. Where the optimizer does not move every parameter (another one
            moves the rest, or nothing does), the sharpness is that along those which it moves, and the note says so.
            Where the optimizer has no threshold (Lion, Muon), or no state yet (Adam before its first step), the record
            holds the plain eigenvalue and the reason. Where loss or parameters are not finite any more it holds nan and
            the reason.

        Raises:
            CurvatureError: The first measurement failed, or the optimizer is not the model's; or the log cannot be
                written. What else goes wrong later, errors of the loss among it, is kept as the `note` of a record, so
                that a long training does not end for its tracker.
        """
        record = self.measure(model, optimizer, step) if step % self.every == 0 else None
        if self.directional and (step + 1) % self.every == 0:
            self._before = (step, _position(ParameterSpace.of(model)).clone())
        return record

    def measure(
        self, model: nn.Module, optimizer: torch.optim.Optimizer | None, step: int
    ) -> SharpnessRecord:
        """Measure now, whatever the step; see `update`."""
        try:
            with Curvature(model, self.loss, iter(self.probe), seed=self.seed) as curvature:
                record = self._record(curvature, optimizer, step)
        except Exception as error:  # the user's loss runs in here, and may fail in any way
            if not self.records:
                raise
            note = str(error) if isinstance(error, CurvatureError) else f"{type(error).__name__}: {error}"
            record = SharpnessRecord(step, math.nan, math.nan, math.nan, 0, note=note)
            self._warm = None
        self._before = None
        add(record, self.records)
        if self.log is not None:
            append(record, self.log)
        return record

    def _record(
        self, curvature: Curvature, optimizer: torch.optim.Optimizer | None, step: int
    ) -> SharpnessRecord:
        space = curvature.space
        units, note = self._units(optimizer, space)
        operator = curvature.operator("hessian")
        directional = self._along_update(curvature, step)
        gradient = curvature.gradient()
        if units is not None:
            operator = operator.scaled(units.scale, units.shift)
            gradient *= units.scale
        found, cold, crossing = self._search(operator, gradient, units.name if units is not None else "")
        return SharpnessRecord(
            step=step,
            loss=curvature.loss_value,
            value=float(found.values[0]),
            bound=found.bound,
            products=found.products,
            cold=cold,
            crossing=crossing,
            units=units.name if units is not None else "",
            eta=units.eta if units is not None else None,
            threshold=units.threshold if units is not None else None,
            values=tuple(found.values.tolist()) if self.k > 1 else (),
            directional=directional,
            note=note,
        )

    def _units(
        self, optimizer: torch.optim.Optimizer | None, space: ParameterSpace
    ) -> tuple[Units | None, str]:
        """Return the optimizer's units, or why there are none."""
        if optimizer is None:
            return None, "no optimizer was given, so the plain Hessian was measured"
        if not self.precondition:
            return None, "precondition=False, so the plain Hessian was measured"
        try:
            units = units_of(optimizer, space)
            return units, _unmoved(units, space)
        except CurvatureError as error:
            held = {id(p) for group in optimizer.param_groups for p in group["params"]}
            if held.isdisjoint(map(id, space.tensors)):
                raise
            return None, str(error)

    def _search(self, operator: Operator, gradient: Tensor, geometry: str) -> tuple[Found, bool, bool]:
        """Find the largest eigenvalues, and tell whether the search began anew and whether the top direction is new."""
        warm = self._warm
        if warm is not None and (warm.vectors.shape[1] != operator.dim or geometry != self._geometry):
            warm = None  # another model, or other coordinates
        cold = warm is None or self._since_cold >= self.cold_every
        k, small = min(self.k, operator.dim), operator.dim <= SMALL
        if warm is None:
            start = (unit(gradient) + random_unit(gradient, self._generator))[None]
        else:
            noise = COLD_NOISE if cold else 0.0 if small else NOISE
            start = warm.vectors_to_start(gradient, self._generator, k=k, noise=noise)
        if k == 1:
            # A near rival is a starting vector, so that the gaps are known; a search that begins anew knows none.
            found = search(
                operator,
                start,
                tol=self.tol,
                trust_gaps=not cold,
                probe=random_unit(gradient, self._generator) if cold or small else None,
                doubts=(COLD if small else COLD_LARGE) if cold else WARM,
            )
        else:
            several = lanczos(operator, k, tol=self.tol, start=start, seed=self.seed)
            found = Found(several.values, several.vectors, float(several.bounds[0]), several.products)
        self._warm, self._geometry = WarmStart.after(found, warm, least=k), geometry
        self._since_cold = 1 if cold else self._since_cold + 1
        crossing = warm is not None and float(self._warm.vectors[0] @ warm.vectors[0]) ** 2 < 0.5
        return found, cold, crossing

    def _along_update(self, curvature: Curvature, step: int) -> float | None:
        if self._before is None or self._before[0] != step - 1:
            return None
        update = _position(curvature.space) - self._before[1]
        return curvature.directional_sharpness(update) if bool(update.any()) else None


def _position(space: ParameterSpace) -> Tensor:
    return space.join(space.tensors)


def _unmoved(units: Units, space: ParameterSpace) -> str:
    """Say what the optimizer leaves alone; empty where it is nothing."""
    if not units.frozen:
        return ""
    shown = ", ".join(units.frozen[:3]) + (", ..." if len(units.frozen) > 3 else "")
    return (
        f"the optimizer moves {len(space.names) - len(units.frozen)} of {len(space.names)} trainable parameters, and the "
        f"sharpness is that along them alone; it does not move {shown}"
    )
