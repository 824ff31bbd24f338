"""Passes through a user's model that can be differentiated twice and leave nothing behind."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from similitude.landscape.substitutes import Substitutes


class Surroundings:
    """What a model's passes run in: gradients on, attention on its math backend, fixed draws, buffers of their own.

    Fused attention has no second derivative in torch 2.x, so its plain form is used inside; `Substitutes` does so for two
    other operations. Random layers draw the same numbers on every entry. Buffers (running statistics of batch
    normalization) are replaced by copies, which a pass may update; graphs keep the copies, and the model gets its own
    tensors back, not merely equal ones. cuDNN's recurrent layers and compiled code, which have no second derivative
    either, are left for PyTorch's own and for eager mode.

    Args:
        model: Any module.
        seed: Seeds what random layers draw.
        like: Surroundings of an earlier pass: copies of buffers that it did not update are shared with it.
    """

    def __init__(self, model: nn.Module, *, seed: int = 0, like: Surroundings | None = None) -> None:
        self.seed = seed
        # A copy begins at version 0, which autograd's counter leaves at the first update.
        kept = {} if like is None else {key: b for key, b in like._copies.items() if b._version == 0}
        copies: dict[int, Tensor] = {}
        self._copies = copies
        self._buffers: list[tuple[nn.Module, dict[str, Tensor | None]]] = []
        for module in model.modules():
            if module._buffers:
                for b in module._buffers.values():
                    if b is not None and id(b) not in copies:
                        copies[id(b)] = kept[id(b)] if id(b) in kept else b.detach().clone()
                mine = {name: None if b is None else copies[id(b)] for name, b in module._buffers.items()}
                self._buffers.append((module, mine))
        # Hooks of the old weight and spectral normalization put the weight that they computed here, graph and all.
        self._attributes = [
            (module, name, value)
            for module in model.modules()
            for name, value in vars(module).items()
            if isinstance(value, Tensor)
        ]
        cuda = any(p.is_cuda for p in model.parameters())
        self._recurrent = cuda and any(isinstance(m, nn.RNNBase) for m in model.modules())
        self._compiled = any(
            getattr(m, "_compiled_call_impl", None) is not None or "_orig_mod" in m._modules
            for m in model.modules()
        )

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Enter; on exit buffers, generators, gradient mode and backends are the user's again."""
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            stack.enter_context(Substitutes())
            if self._recurrent:
                stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            if self._compiled:
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            if torch.cuda.is_initialized():
                every = list(range(torch.cuda.device_count()))
                stack.enter_context(torch.random.fork_rng(devices=every))
                torch.cuda.manual_seed_all(self.seed)
            stack.enter_context(self._seeded())
            stack.enter_context(self._swapped())
            yield

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        # torch.manual_seed also queues its seed for devices that are not in use yet, in place of the user's, and takes
        # longer than a product with a small network.
        torch_state, numpy_state, python_state = (
            torch.get_rng_state(),
            np.random.get_state(),
            random.getstate(),
        )
        torch.default_generator.manual_seed(self.seed)
        np.random.seed(self.seed % 2**32)
        random.seed(self.seed)
        try:
            yield
        finally:
            torch.set_rng_state(torch_state)
            np.random.set_state(numpy_state)
            random.setstate(python_state)

    @contextmanager
    def _swapped(self) -> Iterator[None]:
        own = [(module, dict(module._buffers)) for module, _ in self._buffers]
        for module, copies in self._buffers:
            module._buffers.update(copies)
        try:
            yield
        finally:
            for module, buffers in own:
                module._buffers.clear()
                module._buffers.update(buffers)
            for module, name, value in self._attributes:
                module.__dict__[name] = value


@contextmanager
def undisturbed(model: nn.Module, *, seed: int = 0) -> Iterator[None]:
    """Run passes through a model that can be differentiated twice and leave nothing behind; see `Surroundings`.

    Args:
        model: Any module; its mode is kept, so that batch statistics and dropout act as the mode says.
        seed: Seeds what random layers draw.

    Example:
        >>> model = nn.BatchNorm1d(2)
        >>> with undisturbed(model):
        ...     _ = model(torch.randn(8, 2))
        >>> int(model.num_batches_tracked)
        0
    """
    with Surroundings(model, seed=seed).inside():
        yield
