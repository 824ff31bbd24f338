"""Yang and Hu's classification of abc-parametrizations under SGD (arXiv 2011.14522, Theorem 3.8), as they write it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class AbcSgd:
    """Exponents of a perceptron: `a` and `b` of layers 1 to L + 1, and one `c` for the learning rate."""

    a: tuple[Fraction, ...]
    b: tuple[Fraction, ...]
    c: Fraction

    @property
    def r(self) -> Fraction:
        head = min(self.a[-1] + self.b[-1], 2 * self.a[-1] + self.c)
        return head + self.c - 1 + min(2 * a + (1 if i == 0 else 0) for i, a in enumerate(self.a[:-1]))

    @property
    def starts_well(self) -> bool:
        inner = [a + b for a, b in zip(self.a, self.b, strict=True)]
        return inner[0] == 0 and all(x == Fraction(1, 2) for x in inner[1:-1]) and inner[-1] >= Fraction(1, 2)

    @property
    def stable(self) -> bool:
        head = self.a[-1] + self.b[-1]
        return self.starts_well and self.r >= 0 and head + self.r >= 1 and 2 * self.a[-1] + self.c >= 1

    @property
    def nontrivial(self) -> bool:
        return self.a[-1] + self.b[-1] + self.r == 1 or 2 * self.a[-1] + self.c == 1

    @property
    def kind(self) -> str:
        if not self.stable:
            return "unstable"
        if not self.nontrivial:
            return "trivial"
        return "feature learning" if self.r == 0 else "kernel"
