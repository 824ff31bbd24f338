"""Everything of a user's that a measurement could disturb, to be compared before and after, bit for bit."""

from __future__ import annotations

import random
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def fingerprint(value: Any) -> Any:
    """A tensor by its identity, its version and its bits; anything else as it is."""
    if isinstance(value, Tensor):
        return id(value), value._version, value.requires_grad, value.detach().cpu().numpy().tobytes()
    return value


def state_of(model: nn.Module) -> dict[str, Any]:
    """The model's tensors, gradients, modes and hooks, every generator and every global setting."""
    state: dict[str, Any] = {
        f"parameter {n}": (fingerprint(p), fingerprint(p.grad)) for n, p in model.named_parameters()
    }
    state |= {f"buffer {n}": fingerprint(b) for n, b in model.named_buffers()}
    for name, module in model.named_modules():
        state[f"mode {name}"] = module.training
        state[f"hooks {name}"] = [
            len(hooks)
            for hooks in (
                module._forward_hooks,
                module._forward_pre_hooks,
                module._backward_hooks,
                module._backward_pre_hooks,
            )
        ]
        state[f"attributes {name}"] = sorted(vars(module))
    numpy_state = np.random.get_state(legacy=False)
    cuda = torch.backends.cuda
    return state | {
        "torch generator": torch.get_rng_state().numpy().tobytes(),
        "numpy generator": repr(numpy_state),
        "python generator": random.getstate(),
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "anomaly": torch.is_anomaly_enabled(),
        "default dtype": torch.get_default_dtype(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        "attention": (
            cuda.flash_sdp_enabled(),
            cuda.mem_efficient_sdp_enabled(),
            cuda.math_sdp_enabled(),
            cuda.cudnn_sdp_enabled(),
        ),
        "cudnn": (torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark),
        "precision": torch.get_float32_matmul_precision(),
        "warnings": list(warnings.filters),
    }


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Names of what is not as before."""
    return [name for name in before | after if before.get(name) != after.get(name)]
