"""All rules of operations, registered by importing them."""

from similitude.kernels import (
    rules_arithmetic,
    rules_attention,
    rules_batch_norm,
    rules_constants,
    rules_convolution,
    rules_dropout,
    rules_entrywise,
    rules_join,
    rules_layers,
    rules_logits,
    rules_move,
    rules_norms,
    rules_sums,
)
from similitude.kernels.reader import RULES

__all__ = [
    "RULES",
    "rules_arithmetic",
    "rules_attention",
    "rules_batch_norm",
    "rules_constants",
    "rules_convolution",
    "rules_dropout",
    "rules_entrywise",
    "rules_join",
    "rules_layers",
    "rules_logits",
    "rules_move",
    "rules_norms",
    "rules_sums",
]
