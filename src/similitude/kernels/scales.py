"""Variances of a module's parameters, told from its own initialization, and how training weighs the parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from similitude.core.errors import KernelError
from similitude.kernels.labels import Unmatched
from similitude.kernels.laws import off_zero, unlike_draws
from similitude.kernels.readouts import Readouts
from similitude.kernels.rule_rates import NTP, Use, rule_rates
from similitude.scaling.inits.moments import Moments, moments

_SIGMAS = 3.0
_FEWEST = 4  # entries from which a bound is told
_UNIFORM = (
    0.9  # standard error of the mean square of uniform entries, relative, times the root of their number
)
_DRAWS, _SMALL = 40, 400_000  # builds of a family of fewer parameters
_MOST, _APART = 400, 4.0  # builds that tell a law of the width, by so many standard errors
_DEFAULT = "uniform, PyTorch's default"
_NEAR = 0.03  # relative standard error up to which a law is recognized from one draw


@dataclass
class ScaleTable:
    """Scales of the parameters.

    Attributes:
        parameters: Values of the recorded module.
        draws: What is known of their initial values.
        wider: Values at the larger width; empty where there is none.
        weight_variance: Variance times fan-in that overrides what is measured.
        bias_variance: Variance of biases that overrides it.
        rule: Learning rates: a rule of the plan's table.
        frozen: Parameters that are not trained.
        variance: Variances used: by parameter and role ("matrix", "bias", "rows"); of a matrix times the fan-in.
        rate: What training adds per unit of covariance, likewise; once `weigh` was called.
        notes: How each was told.
        fans: Fan-in of each at the recorded width, likewise.
        factors: Number that the module multiplies the parameter with before it uses it, likewise.
        growth: Power of width / recorded width by which the tangent kernel has been divided.
        outputs: Power of it that the variance of the initial outputs goes with.
    """

    parameters: Mapping[str, Tensor]
    draws: Mapping[str, Draw]
    wider: Mapping[str, Tensor]
    weight_variance: float | None = None
    bias_variance: float | None = None
    rule: str = "ntp"
    frozen: frozenset[str] = frozenset()
    variance: dict[tuple[str, str], float] = field(default_factory=dict)
    rate: dict[tuple[str, str], float] = field(default_factory=dict)
    notes: dict[tuple[str, str], str] = field(default_factory=dict)
    fans: dict[tuple[str, str], int] = field(default_factory=dict)
    factors: dict[tuple[str, str], float] = field(default_factory=dict)
    growth: float = 0.0
    outputs: float = 0.0
    _sums: set[tuple[str, str]] = field(default_factory=set)
    _fallen: dict[str, float] = field(default_factory=dict)
    _stays: dict[str, tuple[float, bool]] = field(default_factory=dict)

    @property
    def trains_zeros(self) -> bool:
        """Whether biases that start at zero are trained: under every rule whose rates are not their variances."""
        return self.rule != NTP

    def constant(self, name: str) -> float | None:
        """Return the number that all entries of a vector or scalar are, if so: gains of 1, biases of 0."""
        values = self.parameters[name]
        differ = values.numel() > 0 and bool((values != values.flatten()[0]).any())
        draws = self.draws
        if differ or not (draws.constant(name) if isinstance(draws, ManyDraws) else draws[name].constant):
            return None
        return float(values.flatten()[0]) if values.numel() else 0.0

    def one_draw(self, name: str) -> bool:
        """Whether the one entry of a parameter may have been drawn: of a single module, and neither 0 nor 1."""
        values = self.parameters[name]
        return (
            values.numel() == 1 and not isinstance(self.draws, ManyDraws) and float(values) not in (0.0, 1.0)
        )

    def start(self, name: str) -> float:
        """Return the number that all entries of a bias begin at; 0 of one that is drawn or whose variance is given."""
        if self.bias_variance is not None or self.one_draw(name):
            return 0.0
        return self.constant(name) or 0.0

    def matrix(self, name: str, fan_in: int, *, scale: float = 1.0, grows: bool = True) -> None:
        """Enter a parameter that is contracted over `fan_in` entries.

        Raises:
            Unmatched: It was contracted before with another factor, or over another number of entries.
        """
        before = self.factors.get((name, "matrix"), scale), self.fans.get((name, "matrix"), fan_in)
        if before != (scale, fan_in):
            raise Unmatched(
                f"it contracts {scale:g} times '{name}' over {fan_in} entries, and before {before[0]:g} times over "
                f"{before[1]}; matrices of two laws have no rule. Scale what it gives, or untie them"
            )
        if self.weight_variance is not None:
            found, note = self.weight_variance, "as given"
        else:
            self._like_draws(name, "weight_variance")
            variance, note = recognized(self.draws[name], fan_in)
            found = variance * fan_in * scale**2
        self._enter(name, "matrix", found, f"{note}: {found:.4g} / fan-in", fan_in)
        self.factors[name, "matrix"] = scale
        if grows:
            self._sums.add((name, "matrix"))

    def bias(self, name: str, fan_in: int, *, grows: bool) -> None:
        """Enter a parameter that is added to what a layer gives.

        Args:
            name: The parameter.
            fan_in: Fan-in of the layer.
            grows: Whether that grows with the width.
        """
        if self.bias_variance is not None:
            self._enter(name, "bias", self.bias_variance, f"as given: {self.bias_variance:.4g}", 1)
            return
        begins = None if self.one_draw(name) else self.constant(name)
        if begins is not None:
            self._enter(name, "bias", 0.0, f"begins at {begins:g}", 1)
            return
        self._like_draws(name, "bias_variance")
        variance, note = recognized(self.draws[name], fan_in)
        self._enter(name, "bias", variance, f"{note}: {variance:.4g}", 1)
        if grows and self._vanishes(name, variance, fan_in):
            self._enter(name, "bias", 0.0, "1 / fan-in up to a factor: 0 at infinite width", 1)
            self._fallen[name] = variance
        else:
            self._stays[name] = variance, _DEFAULT in note

    def _use(self, name: str, role: str, ends: Readouts) -> Use:
        fan_in, values = self.fans[name, role], self.parameters[name]
        return Use(
            role,
            self.variance[name, role],
            fan_in,
            values.numel() // fan_in,
            grows=(name, role) in self._sums,
            readout=name in ends.names,
            table=sum(n > 1 for n in values.shape) > 1,
            trained=name not in self.frozen,
            multiplier=self.factors.get((name, role), 1.0),
        )

    def words(self, width: str) -> str:
        """Return the rule, with what the kernels were divided by so that they have a limit.

        Args:
            width: What the recorded width is called.
        """
        said = f"rule {self.rule}"
        if self.growth:
            does = "grows" if self.growth > 0 else "falls"
            said += f", r = width / {width}: the tangent kernel {does} as r^{self.growth:g}, ntk() is divided by it"
        if self.outputs:
            link = "; " if self.growth else f", r = width / {width}: "
            said += f"{link}initial outputs go as r^{self.outputs / 2:g}, nngp() is of the recorded width"
        return said

    def _settle(self, sums: Iterable[frozenset[str]]) -> None:
        """Treat biases of one sum alike that are drawn alike, and a parameter alike wherever it is a bias.

        Both biases of a recurrent layer have one law, which for the one beside the hidden state is that of a layer whose
        fan-in grows, and for the one beside the inputs is not: both stay. In a single module with as many inputs as
        states both are of either law, and that one module has both tells a recurrent layer from two linear ones.
        """
        for name, other in ((a, b) for names in sums for a in names for b in names):
            variance = self._fallen.get(name)
            if variance is None:
                continue
            kept = self._kept(other)
            if (
                kept is None
                and not self.wider
                and other not in self._fallen
                and _owner(name) == _owner(other)
            ):
                kept = self.variance.get((other, "bias"))
            if not kept:
                continue
            errors = math.hypot(*(_UNIFORM / math.sqrt(self.draws[n].count) for n in (name, other)))
            if abs(variance / kept - 1) < _SIGMAS * errors:
                self._enter(name, "bias", kept, f"drawn as '{other}': {kept:.4g}", 1)
        for name, role in list(self.variance):
            if role == "rows" and (name, "bias") in self.variance:
                self.variance[name, role] = self.variance[name, "bias"]
                self.notes[name, role] = self.notes[name, "bias"]

    def _kept(self, name: str) -> float | None:
        """Return the variance of a bias that is not that of its own layer's default, or falls although it looks so."""
        variance, default = self._stays.get(name, (None, False))
        # builds of two widths are made for those alone that are added to another bias
        return variance if variance is None or not default or self._falls(name, variance) else None

    def _vanishes(self, name: str, variance: float, fan_in: int) -> bool:
        draw = self.draws[name]
        default = draw.peak <= 1 / math.sqrt(fan_in) * (1 + 1e-6) and math.isclose(
            variance, 1 / (3 * fan_in), rel_tol=_SIGMAS * _UNIFORM / math.sqrt(draw.count) + 1e-3
        )
        return default or self._falls(name, variance)

    def _falls(self, name: str, variance: float) -> bool:
        """Tell whether a parameter that grows with the width has smaller entries in the larger member."""
        wide, here = self.wider.get(name), self.parameters[name].numel()
        if wide is None or wide.numel() <= here:
            return False
        limit = math.sqrt(here / wide.numel())  # between staying and falling as 1 / width
        if isinstance(self.draws, ManyDraws):
            return self.draws.growth(name, wide.numel()) < limit
        return float(wide.double().square().mean()) < limit * variance

    def rows(self, name: str, padding: int | None = None) -> None:
        """Enter a parameter of which rows are read: embeddings, positions.

        Args:
            name: The parameter.
            padding: A row of zeros that is not drawn.
        """
        draw, shape = self.draws[name], self.parameters[name].shape
        if padding is not None and shape[0] > 1:
            part = (shape[0] - 1) / shape[0]
            draw = replace(draw, count=round(draw.count * part), square=draw.square / part)
        variance, note = recognized(draw, None)
        self._enter(name, "rows", variance, f"{note}: {variance:.4g}", 1)

    def _like_draws(self, name: str, override: str) -> None:
        draw = self.draws[name]
        found = unlike_draws(self.parameters[name]) or off_zero(draw.mean, draw.count, draw.square)
        if found is not None:
            raise Unmatched(
                f"the initial values of '{name}' are no independent draws of one law around 0: {found}. Initialize it "
                f"so, or give its variance with {override}="
            )

    def weigh(self, ends: Readouts, sums: Iterable[frozenset[str]]) -> None:
        """Set the learning rate of every parameter entered, and the variances at infinite width under the rule.

        Args:
            ends: How the module ends.
            sums: Biases that are added to one another.

        Raises:
            KernelError: Under the rule the kernel has no limit.
        """
        self._settle(sums)
        uses = {key: self._use(*key, ends) for key in self.variance}
        found = rule_rates(self.rule, uses, features=ends.features)
        if found.outputs and ends.bent is not None:
            raise KernelError(
                f"rule={self.rule!r}: what '{ends.bent}' gives goes as width^{found.outputs / 2:g}, and something "
                "nonlinear comes after it, so that the outputs do not scale with it. Return what the last layer gives, "
                "or take rule='ntp'."
            )
        self.growth, self.outputs = found.growth, found.outputs
        for key, use in found.uses.items():
            self.rate[key], self.variance[key] = use.rate, use.variance
            if use.note:
                self.notes[key] += f", {use.note}"

    def _enter(self, name: str, role: str, variance: float, note: str, fan_in: int) -> None:
        self.variance[name, role] = variance
        self.notes[name, role] = f"{note}, not trained" if name in self.frozen else note
        self.fans[name, role] = fan_in


def _owner(name: str) -> str:
    return name.rpartition(".")[0]


def recognized(draw: Draw, fan_in: int | None) -> tuple[float, str]:
    """Return the variance of an initialization: of the usual law that explains the values, else their mean square.

    Args:
        draw: What is known of the values.
        fan_in: Entries that a contraction sums over; None where the values are not contracted.

    Returns:
        The variance, and how it was told.
    """
    n, square, peak = draw.count, draw.square, draw.peak
    if square == 0:
        return 0.0, "zero"
    shape = draw.shape
    fan_out = shape[0] * math.prod(shape[2:]) if len(shape) > 1 else n
    inside = fan_in or 1
    for bound, law in (
        (1 / math.sqrt(inside), _DEFAULT),
        (math.sqrt(3 / inside), "uniform, LeCun's"),
        (math.sqrt(6 / inside), "uniform, He's"),
        (math.sqrt(6 / (inside + fan_out)), "uniform, Xavier's"),
    ):
        near = abs(square / (bound**2 / 3) - 1) < _SIGMAS * _UNIFORM / math.sqrt(n)
        if n >= _FEWEST and near and bound * (1 - 40 / n) <= peak <= bound * (1 + 1e-6):
            return bound**2 / 3, law
    error = math.sqrt(2 / n)
    if error < _NEAR:
        for variance, law in (
            (2 / inside, "normal, He's"),
            (1 / inside, "normal, LeCun's"),
            (2 / (inside + fan_out), "normal, Xavier's"),
            (0.02**2, "normal, 0.02"),
            (1.0, "normal, 1"),
        ):
            if abs(square / variance - 1) < _SIGMAS * error:
                return variance, law
    return square, f"measured, {100 * error:.2g} %"


@dataclass(frozen=True)
class Draw:
    """What is known of the initial values of a parameter.

    Attributes:
        count: Entries seen.
        square: Their mean square.
        peak: The largest |entry|.
        constant: Whether all are equal.
        shape: Shape of the parameter.
        mean: The mean of the entries.
    """

    count: int
    square: float
    peak: float
    constant: bool
    shape: tuple[int, ...]
    mean: float = 0.0


def drawn(values: Tensor) -> Draw:
    """Look at one draw of a parameter."""
    values = values.double()
    if values.numel() == 0:
        return Draw(0, 0.0, 0.0, True, tuple(values.shape))
    constant = bool((values == values.flatten()[0]).all()) and not (values.numel() == 1 and values.dim() > 1)
    return Draw(
        values.numel(),
        float(values.square().mean()),
        float(values.abs().max()),
        constant,
        tuple(values.shape),
        float(values.mean()),
    )


@dataclass
class ManyDraws(Mapping[str, Draw]):
    """Many draws of every parameter of a family at one width, made when one is first asked for.

    Attributes:
        make: The family.
        width: The width.
        seed: Seed of the builds.
        size: Number of parameters at the width.
        larger: The family's larger width.
    """

    make: Callable[..., nn.Module]
    width: int
    seed: int
    size: int
    larger: int
    _two: dict[str, Draw] = field(default_factory=dict, repr=False)
    _found: dict[str, Draw] = field(default_factory=dict, repr=False)
    _compared: dict[int, tuple[int, dict[str, Moments]]] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Draw:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __bool__(self) -> bool:
        return True

    def constant(self, name: str) -> bool:
        """Whether all entries of a parameter are equal, and the same in two builds."""
        if not self._two:
            self._two = self._moments(2)
        return self._two[name].constant

    def growth(self, name: str, entries: int) -> float:
        """Return the mean square of a parameter at the larger width over that at the smaller one.

        Builds are as many as tell whether it stays or falls as 1 / width.

        Args:
            name: The parameter.
            entries: Number of its entries at the larger width.
        """
        here = math.prod(self[name].shape)
        gap = math.log(entries / here) / 2
        builds = min(_MOST, max(_DRAWS, math.ceil(2 * (1 / here + 1 / entries) * (_APART / gap) ** 2)))
        near, far = (self._at(width, builds) for width in (self.width, self.larger))
        return far[name].square / near[name].square

    def _at(self, width: int, builds: int) -> dict[str, Moments]:
        known = self._compared.get(width)
        if known is None or known[0] < builds:
            many = builds if self.size < _SMALL else None
            known = self._compared[width] = builds, moments(self.make, width, seed=self.seed, draws=many)
        return known[1]

    def _all(self) -> dict[str, Draw]:
        if not self._found:
            self._found = self._moments(_DRAWS if self.size < _SMALL else None)
        return self._found

    def _moments(self, draws: int | None) -> dict[str, Draw]:
        found = moments(self.make, self.width, seed=self.seed, draws=draws)
        return {
            name: Draw(m.count, m.square, m.peak, m.constant, m.shape, m.mean) for name, m in found.items()
        }
