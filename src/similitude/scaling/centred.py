"""A model minus itself at initialization, f(x; theta) - f(x; theta_0): what paper 1 trains at small gamma, where the
initial output divided by gamma would drown everything that is learned."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from similitude.core.citation import cites
from similitude.core.errors import PlanError
from similitude.scaling.outputs import Entry, entry_of, with_entry


@cites(1, "Section 2: the centred network")
class Centred(nn.Module):
    """A model whose output is 0 until it has learned something.

    Wrap the model once its initial values are final: after `plan.apply_`, before training. Plans, parameter groups and
    optimizers stay with the plain model, whose names do not change; the loss gets the wrapped one:

        plan.apply_(model)
        optimizer = torch.optim.AdamW(plan.groups(model, lr=1e-3))
        centred = Centred(model)
        loss(centred, batch).backward()

    Both passes draw the same dropout masks and normalize by the same batch, else the difference would not start at 0.
    The copy is kept in buffers: it follows `.to()`, is saved in `state_dict` (save that of the wrapped model to resume)
    and is no parameter. A head that starts at zero (`knobs=dict(head={"init": 0})`) needs none of this.

    Args:
        model: Any module. It is trained as before, in place.
        output: Entry of the model's output that is centred, a name or a position; None for the output itself where it
            is a tensor, else its `logits`. Other entries stay as they are.

    Raises:
        PlanError: `model` is no module; on the first call, where the output has no such tensor, or has a loss computed
            from it.

    Example:
        >>> model = nn.Linear(3, 2)
        >>> centred, x = Centred(model), torch.ones(4, 3)
        >>> centred(x).detach().unique()
        tensor([0.])
        >>> _ = model.bias.data.add_(1)
        >>> torch.allclose(centred(x), torch.ones(4, 2), atol=1e-6)
        True

    Cost: a second forward pass without gradients, and one more copy of parameters and buffers. Not for models whose
        parameters are sharded (FSDP): the copy is whole.
    """

    def __init__(self, model: nn.Module, *, output: Entry | None = None) -> None:
        super().__init__()
        if not isinstance(model, nn.Module):
            raise PlanError(
                f"model={model!r} is not an nn.Module. Pass the model itself, once its initial values are final."
            )
        self.model = model
        self.output = output
        self.start = _Start(model)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the model's output less that of its initial values on the same input."""
        with torch.no_grad():
            if self.training:
                # What the first pass draws from the generators is given back, so that the second draws the same.
                with torch.random.fork_rng(devices=self.start.devices()):
                    before = functional_call(self.model, self.start.tensors(), args, kwargs)
            else:
                before = functional_call(self.model, self.start.tensors(), args, kwargs)
        result = self.model(*args, **kwargs)
        difference = entry_of(result, self.output) - entry_of(before, self.output)
        return with_entry(result, difference, self.output)


class _Start(nn.Module):
    """Copies of a model's parameters and buffers, as buffers under numbers: names of buffers may have no dots."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        self._names = tuple(tensors)
        for number, tensor in enumerate(tensors.values()):
            self.register_buffer(str(number), tensor.detach().clone())

    def tensors(self) -> dict[str, Tensor]:
        """Return the copies by their names in the model."""
        return {name: getattr(self, str(number)) for number, name in enumerate(self._names)}

    def devices(self) -> list[int]:
        """Return the numbers of the CUDA devices that the copies are on, whose generators layers may draw from."""
        places = {tensor.device for tensor in self.buffers()}
        return sorted(place.index or 0 for place in places if place.type == "cuda")
