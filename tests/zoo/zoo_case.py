"""One entry of the zoo: a model family, what it is called with, and its golden roles, reasoned by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

VOCABULARY, CLASSES = 61, 10


@dataclass(frozen=True)
class Case:
    """A model family with the role that every parameter must get.

    Attributes:
        make: Function of the width.
        sample: What the model is called with, or a function of the width that gives it.
        golden: Glob of parameter names -> role, the first match counts; "refused: TEXT" for a refusal whose
            reason contains TEXT, "unused" where the sample does not reach the tensor.
        ends: Globs of the tensors that end the residual branches; empty for a net without branches, None
            where they are not compared.
        multipliers: Glob of tensors -> folded forward multiplier from width 64 to 256; all others carry none.
        hooks: Modules whose input a hook scales.
    """

    make: Callable[..., nn.Module]
    sample: Any
    golden: dict[str, str]
    ends: tuple[str, ...] | None = None
    multipliers: dict[str, float] = field(default_factory=dict)
    hooks: tuple[str, ...] = ()

    def expected(self, name: str) -> str:
        """Return the golden role of one parameter."""
        found = next((role for glob, role in self.golden.items() if fnmatchcase(name, glob)), None)
        assert found is not None, f"{name!r} has no golden role"
        return found


def tokens(size: int = 2, length: int = 16) -> torch.Tensor:
    """Return the same batch of token indices at every call, shape (size, length)."""
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, VOCABULARY, (size, length), generator=generator)


def normal(*shape: int) -> torch.Tensor:
    """Return the same standard normal numbers at every call."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))
