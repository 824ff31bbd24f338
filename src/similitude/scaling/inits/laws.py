"""Laws that an initialization may follow: powers of a tensor's sides or of the width, at every size of a family."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from similitude.scaling.axes import Comparison
from similitude.scaling.dataflow.fans import Fans

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Law:
    """How the rms of one tensor may grow.

    Attributes:
        name: The law, e.g. "fan_in^-1/2".
        ratio: rms at the target over rms at the base.
        growths: rms at the target over rms at each measured size.
        unit: rms at the target for a gain of 1, where the law has a usual gain.
    """

    name: str
    ratio: float
    growths: tuple[float, ...]
    unit: float | None = None


@dataclass(frozen=True)
class _Side:
    """A length that may grow, at every measured size, at the base and at the target."""

    measured: tuple[float, ...]
    base: float
    target: float

    def law(self, name: str, exponent: float) -> Law:
        """Return the law that follows a power of this side; exact where nothing grows."""
        ratio, *growths = (
            1.0 if at == self.target else (self.target / at) ** exponent for at in (self.base, *self.measured)
        )
        return Law(name, ratio, tuple(growths))

    @property
    def growth(self) -> tuple[float, ...]:
        """Every value over the base's: two sides with the same growth give the same laws."""
        return tuple(n / self.base for n in (*self.measured, self.target))


@dataclass(frozen=True)
class LawBook:
    """Shapes of every tensor at every size, from which the values of all laws are told.

    Attributes:
        measured: Shapes at each measured size, by tensor.
        base: Shapes at the base.
        target: Shapes at the target.
        width: The commonest growing dimension.
    """

    measured: tuple[Mapping[str, Shape], ...]
    base: Mapping[str, Shape]
    target: Mapping[str, Shape]
    width: _Side

    @classmethod
    def of(cls, comparison: Comparison, measured: Sequence[Mapping[str, Shape]]) -> LawBook:
        """Collect the shapes of a family at measured sizes, base and target."""
        base = {t.name: t.base_shape for t in comparison.tensors}
        target = {t.name: t.shape for t in comparison.tensors}
        book = cls(tuple(measured), base, target, _Side((1.0,) * len(measured), 1.0, 1.0))
        sides = [side for _, _, side in book._dimensions()]
        if not sides:
            return book
        # The width is what all measured sizes differ in; of several such lengths, the commonest.
        telling = [side for side in sides if len(set(side.measured)) == len(measured)] or sides
        growth = Counter(side.growth for side in telling).most_common(1)[0][0]
        width = Counter(side for side in telling if side.growth == growth).most_common(1)[0][0]
        return cls(book.measured, base, target, width)

    @property
    def widths_text(self) -> str:
        """The measured widths, for messages."""
        return ", ".join(f"{n:g}" for n in self.width.measured)

    def laws(self, name: str, fans: Fans | None) -> list[Law]:
        """List the laws that one tensor may follow, the simplest first.

        Args:
            name: The tensor.
            fans: Its sides; None where it is no matrix.
        """
        found = [self.width.law("constant", 0.0)]
        if fans is not None and (fans.fan_in.dims or fans.fan_in.factor != 1.0):
            into, out = fans.fan_in.size, fans.fan_out.size
            found += self._matrix_laws(name, into, out)
            found.append(self._side(name, lambda s: into(s) * out(s)).law("(fan_in fan_out)^-1/2", -0.5))
            found += _powers("width", self.width)
        else:
            # torch draws a bias from the fan-in of its weight, which the bias's own shape does not show.
            found += _powers("width", self.width)
            grows = self._growing(name)
            length = fans.fan_out.size if fans is not None else lambda s: math.prod(s[d] for d in grows)
            found += _powers("length", self._side(name, length))
        if len(self.base[name]) > 1:
            counted = " as torch.nn.init counts"
            found += self._matrix_laws(
                name, lambda s: math.prod(s[1:]), lambda s: math.prod((s[0], *s[2:])), counted
            )
        return found

    def other_sides(self) -> list[Law]:
        """List laws of lengths that grow otherwise than the width, wherever in the model they appear."""
        seen, found = {self.width.growth}, []
        for name, dim, side in self._dimensions():
            if side.growth not in seen:
                seen.add(side.growth)
                found += _powers(f"(dimension {dim} of {name!r})", side)
        return found

    def _matrix_laws(
        self, name: str, into: Callable[[Shape], float], out: Callable[[Shape], float], counted: str = ""
    ) -> list[Law]:
        fan_in, fan_out = self._side(name, into), self._side(name, out)
        both = self._side(name, lambda s: into(s) + out(s))
        return [
            fan_in.law(f"fan_in^-1/2{counted}", -0.5),
            fan_out.law(f"fan_out^-1/2{counted}", -0.5),
            replace(both.law(f"xavier{counted}", -0.5), unit=math.sqrt(2 / max(1.0, both.target))),
            fan_in.law(f"fan_in^-1{counted}", -1.0),
            fan_out.law(f"fan_out^-1{counted}", -1.0),
        ]

    def _side(self, name: str, length: Callable[[Shape], float]) -> _Side:
        measured = tuple(float(length(shapes[name])) for shapes in self.measured)
        return _Side(measured, float(length(self.base[name])), float(length(self.target[name])))

    def _growing(self, name: str) -> list[int]:
        shapes = [at[name] for at in (*self.measured, self.base, self.target)]
        return [d for d in range(len(shapes[0])) if len({shape[d] for shape in shapes}) > 1]

    def _dimensions(self) -> list[tuple[str, int, _Side]]:
        return [
            (name, d, self._side(name, lambda s, d=d: s[d]))
            for name in self.base
            for d in self._growing(name)
        ]


def _powers(name: str, side: _Side) -> list[Law]:
    return [side.law(f"{name}^-1/2", -0.5), side.law(f"{name}^-1", -1.0)]
