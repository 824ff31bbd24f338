"""The tangent kernel as it is defined: the dense Jacobian, one backward pass per entry of the outputs, times itself."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel


def jacobian(
    model: nn.Module, inputs: Any, *, seed: int = 0, outputs: Callable[[Any], Tensor] = lambda result: result
) -> dict[str, Tensor]:
    """Rows (n C, entries) of every trainable parameter by name."""
    model = copy.deepcopy(model)  # a pass in train mode moves running statistics
    with torch.random.fork_rng(devices=[]), sdpa_kernel(SDPBackend.MATH):
        torch.manual_seed(seed)
        if isinstance(inputs, dict):
            result = model(**inputs)
        else:
            result = model(*inputs) if isinstance(inputs, tuple) else model(inputs)
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    rows: dict[str, list[Tensor]] = {name: [] for name in named}
    for entry in outputs(result).flatten():
        given = torch.autograd.grad(entry, list(named.values()), retain_graph=True, allow_unused=True)
        for (name, p), part in zip(named.items(), given, strict=True):
            rows[name].append((torch.zeros_like(p) if part is None else part).flatten())
    return {name: torch.stack(parts) for name, parts in rows.items()}


def kernel(model: nn.Module, inputs: Any, **options: Any) -> Tensor:
    """Shape (n C, n C), ordered (example, output)."""
    whole = torch.cat(list(jacobian(model, inputs, **options).values()), 1)
    return whole @ whole.T
