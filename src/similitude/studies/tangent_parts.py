"""Tangent kernels of networks that are drawn alike, parameter by parameter, with unbiased squares for many outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from similitude.landscape.calls import Outputs, call, copied, pick
from similitude.landscape.ntk import ntk_gram
from similitude.landscape.undisturbed import undisturbed

_MOST = 16  # outputs that each have their own backward pass
_SUMS = 8  # random sums of outputs of each of two estimates, where there are more


@dataclass(frozen=True, eq=False)
class TangentParts:
    """What every parameter adds to the tangent kernel of several networks, mean over outputs.

    Attributes:
        parts: By parameter, shape (networks, 1 or 2, N, N): the kernel, or two independent unbiased estimates of it.
    """

    parts: Mapping[str, np.ndarray]

    def total(self, rates: Mapping[str, float] | None = None) -> np.ndarray:
        """Return the kernels, each parameter's part times its rate; shape (networks, 1 or 2, N, N).

        Args:
            rates: Learning rates by parameter, 0 for those left out; 1 for all where None.
        """
        found = np.zeros_like(next(iter(self.parts.values())))
        for name, part in self.parts.items():
            found = found + part * (1.0 if rates is None else rates.get(name, 0.0))
        return found


def tangent_parts(
    models: Sequence[Callable[[], nn.Module]], inputs: Any, *, outputs: Outputs | None = None
) -> TangentParts:
    """Take the tangent kernels of networks.

    Args:
        models: Build the networks.
        inputs: N examples as the model takes them.
        outputs: Takes what the model returns and gives the outputs; see `ntk_gram`.

    Raises:
        CurvatureError: The tangent kernel cannot be taken.

    Cost: per network a backward pass per output, 16 for more than 16 outputs.
    """
    found: dict[str, list[np.ndarray]] = {}
    of: tuple[int | Literal["trace"], ...] = ()
    for network, make in enumerate(models):
        model = make()
        of = of or _forms(model, inputs, outputs)
        halves = [
            ntk_gram(model, copied(inputs), outputs=outputs, of=form, by_layer=True, seed=seed).layers
            for seed, form in enumerate(of, start=network * len(of))
        ]
        for name in halves[0]:
            found.setdefault(name, []).append(
                np.stack([half[name].double().cpu().numpy() for half in halves])
            )
    return TangentParts({name: np.stack(rows) for name, rows in found.items()})


def _forms(model: nn.Module, inputs: Any, outputs: Outputs | None) -> tuple[int | Literal["trace"], ...]:
    with undisturbed(model), torch.no_grad():
        count = pick(call(model, copied(inputs)), outputs)[0].numel()
    return ("trace",) if count <= _MOST else (_SUMS, _SUMS)
