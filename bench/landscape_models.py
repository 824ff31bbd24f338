"""Problems whose Hessians are measured: a model, a batch, and the loss in the pieces that libraries ask for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from similitude.models.gpt import GPT
from similitude.models.mlp import MLP
from similitude.models.resnet import ResNet
from similitude.models.transformer import Attention


@dataclass(frozen=True)
class Problem:
    """`loss(model, batch) = criterion(forward(model, batch), batch)`."""

    name: str
    model: nn.Module
    batch: Any
    forward: Callable[[nn.Module, Any], Any]
    criterion: Callable[[Any, Any], Tensor]

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        return self.criterion(self.forward(model, batch), batch)

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [p for p in self.model.parameters() if p.requires_grad]


class FusedAttention(Attention):
    """The reference network's attention by torch's fused operation, as most models have it."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self._heads(layer(x)) for layer in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(mixed.transpose(-3, -2).flatten(-2))


def fused(model: nn.Module) -> nn.Module:
    """A copy of a model whose attention is fused."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, Attention):
            module.__class__ = FusedAttention
    return model


def from_inputs(model: nn.Module, batch: Any) -> Tensor:
    return model(batch[0])


def cross_entropy(outputs: Tensor, batch: Any) -> Tensor:
    return F.cross_entropy(outputs.flatten(0, -2), batch[1].flatten())


def trained(name: str, steps: int = 12) -> Problem:
    """A network after a few steps of Adam on labels that its inputs determine, so that its spectrum has outliers.

    Args:
        name: "mlp" (3072-512-512-10, batch 256), "resnet" (three residual blocks of 16 to 64 channels with group
            normalization, 32 x 32, batch 64), "gpt" (four layers of 128, 64 tokens, batch 16) or "gpt-fused".
        steps: Adam's steps.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if name == "mlp":
            model, inputs = MLP(3072, 10, width=512, depth=2), torch.randn(256, 3072, generator=generator)
        elif name == "resnet":
            model = ResNet(3, 10, width=16, depth=1, channels_per_group=4)
            inputs = torch.randn(64, 3, 32, 32, generator=generator)
        else:
            model = GPT(256, 64, width=128, depth=4, head_dim=32)
            inputs = torch.randint(0, 256, (16, 64), generator=generator)
    if inputs.is_floating_point():
        teacher = torch.randn(inputs[0].numel(), 10, generator=generator)
        labels = (inputs.flatten(1) @ teacher).argmax(1)
    else:  # the next token is a fixed function of the last two
        table = torch.randint(0, 16, (256,), generator=generator)
        labels = (table[inputs] + table[inputs.roll(1, 1)]) % 256
    problem = Problem(name, model, (inputs, labels), from_inputs, cross_entropy)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        problem.loss(model, problem.batch).backward()
        optimizer.step()
    optimizer.zero_grad()
    if name == "gpt-fused":
        return Problem(name, fused(model), problem.batch, from_inputs, cross_entropy)
    return problem
