"""The same model under other names and in other weight layouts: what a plan must not depend on."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import nn


def renamed(model: nn.Module) -> nn.Module:
    """Give every class, module, parameter and buffer of a model a name without meaning.

    The forward code is untouched: it still asks for the old names, and each object translates. Modules that are
    lists keep the numbers that they are indexed by, and parametrized weights the names that torch looks for.
    """
    for module in list(model.modules()):
        _rename(module)
    return model


def transposed(model: nn.Module) -> nn.Module:
    """Store the weight of every untied linear layer as (in, out), in place of (out, in)."""
    owners: dict[int, int] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Linear and owners[id(child.weight)] == 1:
                setattr(module, name, _InOut(child))
    return model


class _InOut(nn.Module):
    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach().T.contiguous())
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.einsum("...i,io->...o", x, self.weight)
        return y if self.bias is None else y + self.bias


def _rename(module: nn.Module) -> None:
    names: dict[str, str] = {}
    lists = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
    fixed = isinstance(module, (*lists, nn.utils.parametrize.ParametrizationList))
    tables: tuple[Any, ...] = (module._parameters, module._buffers, module._modules)
    for table in () if fixed else tables:
        entries = list(table.items())
        table.clear()
        for name, value in entries:
            names[name] = name if name == "parametrizations" else _nonsense(name)
            table[names[name]] = value
    parent = type(module)

    def lookup(self: nn.Module, name: str) -> Any:
        return parent.__getattr__(self, names.get(name, name))

    module.__class__ = type(_nonsense(parent.__name__), (parent,), {"__getattr__": lookup})


def _nonsense(name: str) -> str:
    return "z" + hashlib.md5(name.encode()).hexdigest()[:6]
