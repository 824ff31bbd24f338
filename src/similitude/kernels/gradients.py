"""Which parameters the gradient of a module's outputs reaches: not what is frozen, detached or run without gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from similitude.core.seeding import seeded
from similitude.kernels.program import converted, resized
from similitude.scaling.dataflow.passes import call_of


def frozen(module: nn.Module) -> frozenset[str]:
    """Return the parameters that are not trained: those with requires_grad=False."""
    return frozenset(name for name, p in module.named_parameters() if not p.requires_grad)


def reached(module: nn.Module, sample: Any, dtype: torch.dtype) -> frozenset[str]:
    """Return the parameters that autograd's graph of a forward pass leads to.

    Args:
        module: The module; it is copied.
        sample: What it is called with.
        dtype: Floating-point type of the pass.
    """
    own = converted(module, dtype).requires_grad_(True)
    names = {id(p): name for name, p in own.named_parameters()}
    x = resized(sample, 2, dtype)
    with seeded(0), torch.enable_grad():
        out = call_of(x, None)(own)
    nodes = [t.grad_fn for t in tree_flatten(_plain(out))[0] if isinstance(t, Tensor)]
    seen: set[Any] = set()
    found: set[str] = set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None and id(variable) in names:
            found.add(names[id(variable)])
        nodes += [after for after, _ in node.next_functions]
    return frozenset(found)


def _plain(out: Any) -> Any:
    """Return a mapping of transformers' kind as a plain one."""
    return dict(out) if hasattr(out, "items") else out
