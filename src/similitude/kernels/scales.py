"""Variances of a module's parameters, told from its own initialization, and how training weighs the parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from similitude.kernels.labels import Unmatched
from similitude.kernels.laws import unlike_draws
from similitude.scaling.inits.moments import moments

_SIGMAS = 3.0
_FALLS = 0.85  # ratio of mean squares at two widths below which a bias falls with the width
_FEWEST = 4  # entries from which a bound is told
_UNIFORM = (
    0.9  # standard error of the mean square of uniform entries, relative, times the root of their number
)
_DRAWS, _SMALL = 40, 400_000  # builds of a family of fewer parameters
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
        rule: Learning rates: "ntp", "mup" or "sp".
        frozen: Parameters that are not trained.
        variance: Variances used: by parameter and role ("matrix", "bias", "rows"); of a matrix times the fan-in.
        rate: What training adds per unit of covariance, likewise.
        notes: How each was told.
        fans: Fan-in of each at the recorded width, likewise.
        factors: Number that the module multiplies the parameter with before it uses it, likewise.
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

    def constant(self, name: str) -> float | None:
        """Return the number that all entries of a vector or scalar are, if so: gains of 1, biases of 0."""
        values = self.parameters[name]
        differ = values.numel() > 0 and bool((values != values.flatten()[0]).any())
        draws = self.draws
        if differ or not (draws.constant(name) if isinstance(draws, ManyDraws) else draws[name].constant):
            return None
        return float(values.flatten()[0]) if values.numel() else 0.0

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
        self._enter(name, "matrix", found, f"{note}: {found:.4g} / fan-in", fan_in, grows=grows)
        self.factors[name, "matrix"] = scale

    def bias(self, name: str, fan_in: int, *, grows: bool) -> None:
        """Enter a parameter that is added to what a layer gives.

        Args:
            name: The parameter.
            fan_in: Fan-in of the layer.
            grows: Whether that grows with the width.
        """
        if self.bias_variance is not None:
            self._enter(name, "bias", self.bias_variance, f"as given: {self.bias_variance:.4g}", fan_in)
            return
        self._like_draws(name, "bias_variance")
        variance, note = recognized(self.draws[name], fan_in)
        if grows and self._vanishes(name, variance, fan_in):
            self._enter(name, "bias", 0.0, "1 / fan-in up to a factor: 0 at infinite width", fan_in)
            return
        self._enter(name, "bias", variance, f"{note}: {variance:.4g}", fan_in)

    def _vanishes(self, name: str, variance: float, fan_in: int) -> bool:
        draw, wide = self.draws[name], self.wider.get(name)
        default = draw.peak <= 1 / math.sqrt(fan_in) * (1 + 1e-6) and math.isclose(
            variance, 1 / (3 * fan_in), rel_tol=_SIGMAS * _UNIFORM / math.sqrt(draw.count) + 1e-3
        )
        if wide is None or default:
            return default
        ratio = float(wide.double().square().mean()) / max(variance, 1e-300)
        return ratio < _FALLS and wide.numel() > self.parameters[name].numel()

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
        found = unlike_draws(self.parameters[name])
        if found is not None:
            raise Unmatched(
                f"the initial values of '{name}' are no independent draws of one law around 0: {found}. Initialize it "
                f"so, or give its variance with {override}="
            )

    def _rate(self, variance: float, role: str, fan_in: int, grows: bool) -> float:
        if self.rule == "ntp":  # theta = sigma omega, and omega is trained with rate 1
            return variance
        # One learning rate at the recorded width. muP keeps what each tensor does there; without a rule what sums over
        # infinitely many neurons outgrows the rest.
        kept = grows or self.rule == "mup"
        return float(fan_in if role == "matrix" else 1) if kept else 0.0

    def _enter(
        self, name: str, role: str, variance: float, note: str, fan_in: int, *, grows: bool = False
    ) -> None:
        self.variance[name, role] = variance
        self.rate[name, role] = 0.0 if name in self.frozen else self._rate(variance, role, fan_in, grows)
        self.notes[name, role] = f"{note}, not trained" if name in self.frozen else note
        self.fans[name, role] = fan_in


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
        (1 / math.sqrt(inside), "uniform, PyTorch's default"),
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
    """

    count: int
    square: float
    peak: float
    constant: bool
    shape: tuple[int, ...]


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
    )


@dataclass
class ManyDraws(Mapping[str, Draw]):
    """Many draws of every parameter of a family at one width, made when one is first asked for.

    Attributes:
        make: The family.
        width: The width.
        seed: Seed of the builds.
        size: Number of parameters at the width.
    """

    make: Callable[..., nn.Module]
    width: int
    seed: int
    size: int
    _two: dict[str, Draw] = field(default_factory=dict, repr=False)
    _found: dict[str, Draw] = field(default_factory=dict, repr=False)

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

    def _all(self) -> dict[str, Draw]:
        if not self._found:
            self._found = self._moments(_DRAWS if self.size < _SMALL else None)
        return self._found

    def _moments(self, draws: int | None) -> dict[str, Draw]:
        found = moments(self.make, self.width, seed=self.seed, draws=draws)
        return {name: Draw(m.count, m.square, m.peak, m.constant, m.shape) for name, m in found.items()}
