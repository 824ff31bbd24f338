"""The user's own initialization: how each tensor's scale grows with the width, told from three small sizes.

Nothing is assumed about the init, and the target is not built. Each tensor's root mean square is measured in
real builds near the base. The simplest law that explains all of them within their statistical error (a power
of one of the tensor's own sides, or of the width) gives the exact ratio of target to base; where none does,
the fitted growth exponent gives it, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from similitude.core.errors import PlanError
from similitude.scaling.axes import MOST_PARAMETERS, Comparison, build_shapes, parameter_count, small_sizes
from similitude.scaling.dataflow.fans import Fans
from similitude.scaling.inits.laws import Law, LawBook
from similitude.scaling.inits.moments import Moments, moments
from similitude.scaling.sizes import WIDTH, Factory, Size, as_size, call_text

_DRAWS_ALONE = 4  # tell a tensor without spread, and the rms of 1000 entries to 1 %
_LAST_RESORT = 8 * MOST_PARAMETERS  # where nothing smaller can be built
_SIGMAS = 5.0  # a law is given up where chance explains its misfit less often than five standard errors
_TIE = 1.0  # difference of chi^2 up to which the simpler of two laws is taken
_RIVAL = 9.0  # difference of chi^2 (three standard errors) up to which another law is not excluded
_NOTABLE = 0.05  # relative difference at the target from which a rival law is worth a word
_GAIN = math.log(2)  # usual gains of Xavier's law are 1 to 5/3
_FEWEST_ENTRIES = 64  # below this the mean square of one draw says too little to recognize an untouched init
_CAST = 0.01  # relative change of a mean square that a cast to bfloat16 may cause
_SAME = 0.01  # relative misfit of a power law up to which constants are taken to lie on it
_EXACT = 1e-6  # relative error of values that are computed alike


@dataclass(frozen=True)
class OwnInit:
    """How one tensor's own init grows from base to target.

    Attributes:
        ratio: rms at the target over rms at the base.
        law: The law that gives the ratio, "fixed" for a tensor without spread, "" where none fits.
        error: Standard error of log(ratio); 0 where a law gives it.
        rms: rms of the untouched target; None where it is not known well enough to be recognized.
        tolerance: Largest relative deviation of the mean square that chance explains in one draw of the
            target.
        bound: Largest absolute value of an untouched target whose init is uniform; None for other inits.
        exponent: Growth exponent with the width where it had to be fitted.
        note: What a user should know about the ratio: how it was fitted, or which other law is possible.
    """

    ratio: float
    law: str
    error: float
    rms: float | None
    tolerance: float
    bound: float | None
    exponent: float | None = None
    note: str = ""


class Traced(Protocol):
    """What is known of a tensor's use: its name, its role (None where refused), its sides as a matrix."""

    @property
    def name(self) -> str:
        """The tensor's name."""
        ...

    @property
    def role(self) -> str | None:
        """Its role; None where it was refused."""
        ...

    @property
    def fans(self) -> Fans | None:
        """Its sides; None where it is no matrix."""
        ...


@dataclass(frozen=True)
class Survey:
    """Initial values of a model family, measured at small sizes.

    Attributes:
        sizes: The sizes, by ascending width.
        moments: Moments of every parameter at each size.
        target_built: Whether the target is among the sizes, because the factory can build nothing else.
    """

    sizes: tuple[Size, ...]
    moments: tuple[Mapping[str, Moments], ...]
    target_built: bool = False


def survey(make: Factory, base: int | Size, target: int | Size, *, seed: int) -> Survey:
    """Measure the initial values of a family at up to three sizes near the base.

    The survey serves every target of the family; only the one named here is sure not to be built.

    Args:
        make: Function of the dials that returns a model.
        base: Size of the base.
        target: The size that must not be built, unless nothing else than base and target can.
        seed: Seed of the builds.

    Raises:
        FactoryError: The base cannot be built.
        PlanError: Fewer than two sizes can be built.

    Cost: a few builds of at most 32 million parameters, seconds on one core (256 million where nothing
        smaller can be built).
    """
    base, target = as_size(base, "base"), as_size(target, "target")
    sizes = small_sizes(make, base, target)
    if len(sizes) < 2:
        sizes = small_sizes(make, base, target, most_parameters=_LAST_RESORT) or sizes
    if len(sizes) < 2:
        raise _too_few(make, base, target, sizes)
    measured = tuple(moments(make, size, seed=seed) for size in sizes)
    return Survey(sizes, measured, base != target and target in sizes)


def survey_alone(make: Factory, base: int | Size, target: int | Size, *, seed: int) -> Survey:
    """Measure the initial values where the width stays: nothing grows, so one size and a few draws say all.

    Args:
        make: Function of the dials that returns a model.
        base: Size of the base, at the target's depth.
        target: The same size.
        seed: Seed of the builds.

    Raises:
        FactoryError: The base cannot be built.
        PlanError: The size is too large to be built, and fewer than two smaller ones can be.

    Cost: four builds of the size itself where it has at most 32 million parameters, else that of `survey`.
    """
    size = as_size(base, "base")
    if parameter_count(build_shapes(make, size)) > MOST_PARAMETERS:
        return survey(make, base, target, seed=seed)
    return Survey((size,), (moments(make, size, seed=seed, draws=_DRAWS_ALONE),), target_built=True)


def own_inits(found: Survey, comparison: Comparison, results: Iterable[Traced]) -> dict[str, OwnInit]:
    """Tell how the own init of every tensor with a role grows from base to target.

    Args:
        found: Initial values of the family at small sizes.
        comparison: The family at base and target.
        results: Role and sides of each tensor; those without a role are left out.

    Returns:
        One record per tensor with a role, by its name.
    """
    book = LawBook.of(comparison, [{name: m.shape for name, m in at.items()} for at in found.moments])
    shapes = {t.name: t.shape for t in comparison.tensors}
    return {
        result.name: _own(
            book,
            result.name,
            result.fans,
            [m[result.name] for m in found.moments],
            math.prod(shapes[result.name]),
        )
        for result in results
        if result.role is not None
    }


def measure(
    make: Factory,
    comparison: Comparison,
    results: Iterable[Traced],
    *,
    base: int | Size,
    target: int | Size,
    seed: int,
) -> dict[str, OwnInit]:
    """Survey a family and tell how its own init grows to one target; see `survey` and `own_inits`."""
    return own_inits(survey(make, base, target, seed=seed), comparison, results)


@dataclass(frozen=True)
class _Fit:
    """A law with its free constant fitted to the measured rms."""

    law: Law
    chi2: float
    log_constant: float  # log(rms) at the target
    error: float  # of the constant

    def gap(self, other: _Fit) -> float:
        """How far two laws are apart at the target, in the logarithm of ratio or rms."""
        return max(
            abs(math.log(self.law.ratio / other.law.ratio)), abs(self.log_constant - other.log_constant)
        )


def _own(book: LawBook, tensor: str, fans: Fans | None, seen: list[Moments], entries: int) -> OwnInit:
    if not all(math.isfinite(m.fourth) for m in seen):
        return OwnInit(math.nan, "", math.nan, None, 0.0, None)
    if any(m.square == 0 for m in seen):
        return _zero(book, seen)
    logs = [math.log(m.rms) for m in seen]
    errors = [math.hypot(m.log_error, max(_EXACT, m.rounding / 2)) for m in seen]
    constant = all(m.constant for m in seen)
    fits = [_fit(law, logs, errors) for law in book.laws(tensor, fans)]
    most = _threshold(len(seen))
    if min(fit.chi2 for fit in fits) > most:
        fits += [_fit(law, logs, errors) for law in book.other_sides()]
    best = min(fits, key=lambda fit: fit.chi2)
    if best.chi2 > most:
        return _fitted(book, seen, logs, errors, entries)
    # Among laws that say nearly the same, the simplest; else the likeliest.
    chosen = next(
        fit for fit in fits if fit.chi2 <= best.chi2 + (_RIVAL if fit.gap(best) < _NOTABLE else _TIE)
    )
    law, ratio = chosen.law.name, chosen.law.ratio
    rivals = {
        fit.law: fit.gap(chosen)
        for fit in fits
        if fit.chi2 <= min(most, chosen.chi2 + _RIVAL) and _usual(fit)
    }
    apart: dict[str, str] = {}
    for rival, gap in rivals.items():
        if gap > _NOTABLE:
            apart.setdefault(f"x{rival.ratio:.4g}", rival.name)
    kind = "fixed" if constant else law
    if apart:
        others = " or ".join(f"{name} ({growth})" for growth, name in apart.items())
        note = f"own init taken as {law} (x{ratio:.4g}); {others} fits as well at widths {book.widths_text}"
        return OwnInit(ratio, kind, 0.0, None, 0.0, None, note=note)
    gap = max(rivals.values(), default=0.0)
    rms, tolerance = _recognizable(seen, math.exp(chosen.log_constant), chosen.error, entries)
    bound = _bound(seen, chosen.law)
    return OwnInit(ratio, kind, 0.0, rms, tolerance + 2 * gap, bound and bound * math.exp(gap))


def _zero(book: LawBook, seen: list[Moments]) -> OwnInit:
    zeros = [w for w, m in zip(book.width.measured, seen, strict=True) if m.square == 0]
    if len(zeros) == len(seen):
        return OwnInit(1.0, "fixed", 0.0, 0.0, _CAST, None)
    note = f"own init is zero at width {', '.join(f'{w:g}' for w in zeros)} and not at the others: kept"
    return OwnInit(1.0, "fixed", 0.0, None, 0.0, None, note=note)


def _usual(fit: _Fit) -> bool:
    """Whether a law's constant is a usual one: with any other, Xavier's law of a large table is no rival."""
    unit = fit.law.unit
    return unit is None or abs(fit.log_constant - math.log(unit)) < _GAIN


def _fit(law: Law, logs: list[float], errors: list[float]) -> _Fit:
    """Fit the rms at the target: every size, carried there by the law, measures it once."""
    carried = [log + math.log(growth) for log, growth in zip(logs, law.growths, strict=True)]
    weights = [e**-2 for e in errors]
    mean = sum(w * c for w, c in zip(weights, carried, strict=True)) / sum(weights)
    chi2 = sum(w * (c - mean) ** 2 for w, c in zip(weights, carried, strict=True))
    return _Fit(law, chi2, mean, sum(weights) ** -0.5)


def _threshold(sizes: int) -> float:
    """chi^2 that chance exceeds as seldom as five standard errors, for one or two degrees of freedom."""
    return _SIGMAS**2 if sizes == 2 else -2 * math.log(math.erfc(_SIGMAS / math.sqrt(2)))


def _fitted(
    book: LawBook, seen: list[Moments], logs: list[float], errors: list[float], entries: int
) -> OwnInit:
    """Fit log(rms) = c + p log(width) by weighted least squares, and carry it to the target."""
    constant = all(m.constant for m in seen)
    x = [math.log(w) for w in book.width.measured]
    weights = [e**-2 for e in errors]
    total = sum(weights)
    x0 = sum(w * v for w, v in zip(weights, x, strict=True)) / total
    y0 = sum(w * v for w, v in zip(weights, logs, strict=True)) / total
    spread = sum(w * (v - x0) ** 2 for w, v in zip(weights, x, strict=True))
    if spread == 0:
        return OwnInit(
            1.0, "", math.inf, None, 0.0, None, note="own init changes while the width does not: kept"
        )
    slope = sum(w * (a - x0) * (b - y0) for w, a, b in zip(weights, x, logs, strict=True)) / spread
    misfit = [b - y0 - slope * (a - x0) for a, b in zip(x, logs, strict=True)]
    chi2 = sum(w * r**2 for w, r in zip(weights, misfit, strict=True))
    inflate = math.sqrt(max(1.0, chi2 / (len(x) - 2))) if len(x) > 2 else 1.0
    error = inflate * spread**-0.5
    reach = math.log(book.width.target / book.width.base)
    how = f"width^{slope:.3g} +- {error:.2g}, fitted at widths {book.widths_text}"
    if constant and max(map(abs, misfit)) > max(_SAME, 2 * max(errors)):
        # Constants carry no error: where they lie on no line, each is a choice (or one number a draw).
        return OwnInit(1.0, "fixed", 0.0, None, 0.0, None, note=f"own constant follows no law ({how}): kept")
    at_target = math.log(book.width.target) - x0
    beyond = math.hypot(inflate * total**-0.5, error * at_target)
    rms, tolerance = _recognizable(seen, math.exp(y0 + slope * at_target), beyond, entries)
    return OwnInit(
        ratio=math.exp(slope * reach),
        law="fixed" if constant else "",
        error=error * abs(reach),
        rms=rms,
        tolerance=tolerance,
        bound=None,
        exponent=slope,
        note=f"own init grows as {how}",
    )


def _recognizable(seen: list[Moments], rms: float, error: float, entries: int) -> tuple[float | None, float]:
    """Return the rms by which an untouched tensor of `entries` entries is recognized, and its tolerance."""
    if entries < _FEWEST_ENTRIES and not all(m.constant for m in seen):
        return None, 0.0
    kurtosis = max(m.kurtosis for m in seen)
    chance = math.hypot(math.sqrt((kurtosis - 1) / max(1, entries)), 2 * error)
    return rms, (_SIGMAS + 1) * chance + _CAST


def _bound(seen: list[Moments], law: Law) -> float | None:
    """Carry the bound of a uniform init to the target, from the size that tells it best."""
    uniform = [(m.count, m.bound * g) for m, g in zip(seen, law.growths, strict=True) if m.bound is not None]
    return max(uniform)[1] if len(uniform) == len(seen) else None


def _too_few(make: Factory, base: Size, target: Size, sizes: tuple[Size, ...]) -> PlanError:
    calls = call_text(make, base), call_text(make, target)
    entries = parameter_count(build_shapes(make, base))
    why = (
        f"the factory gives no other size with the same tensors (half, twice, ... the width {base[WIDTH]}), and "
        f"{calls[1]} is too large to be built for that"
        if sizes
        else f"{calls[0]} has {entries:,} parameters, more than {_LAST_RESORT:,}, and no smaller width can be built"
    )
    return PlanError(
        f"how the initial values grow with the width is measured at small widths, but {why}. Let make accept "
        "a few smaller widths, or choose a smaller base."
    )
