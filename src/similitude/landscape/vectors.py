"""Vectors in parameter space: flat in the order of `model.parameters()`, or dicts by parameter name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from similitude.core.errors import CurvatureError
from similitude.scaling.axes import some
from similitude.scaling.matching import unwrapped

ParameterVector = Tensor | Mapping[str, Tensor]
"""A flat tensor of shape (dim,), or a tensor by parameter name."""


@dataclass(frozen=True)
class ParameterSpace:
    """The trainable parameters of a model as one vector space.

    Attributes:
        names: Names of the trainable parameters in the order of `model.parameters()`; a tied one appears once.
        tensors: The parameters themselves, in the same order.
        dtype: Of flat vectors: the widest of the parameters', and float32 at least.
        device: Of flat vectors: the first parameter's.

    Example:
        >>> space = ParameterSpace.of(nn.Linear(3, 2))
        >>> space.dim, space.names
        (8, ('weight', 'bias'))
        >>> {name: tuple(part.shape) for name, part in space.unflatten(torch.ones(8)).items()}
        {'weight': (2, 3), 'bias': (2,)}
    """

    names: tuple[str, ...]
    tensors: tuple[nn.Parameter, ...]
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, model: nn.Module) -> ParameterSpace:
        """Take the trainable parameters of a model.

        Raises:
            CurvatureError: There are none, one is complex, or one is sharded over processes.
        """
        named = {name: p for name, p in unwrapped(model).named_parameters() if p.requires_grad}
        if not named:
            count = sum(1 for _ in model.parameters())
            raise CurvatureError(
                f"{type(model).__name__} has no trainable parameter ({count} in all): a landscape is a function of "
                "those with requires_grad. Set requires_grad_(True) on the ones that are trained."
            )
        if split := [name for name, p in named.items() if hasattr(p, "placements")]:
            raise CurvatureError(
                f"{some(split)} are sharded over processes (DTensor): products with the Hessian need a second backward "
                "pass through their collectives, which PyTorch does not have. Measure on an unsharded copy of the "
                "model, e.g. from its full state dict; replicas (DDP) work as they are."
            )
        if lazy := [name for name, p in named.items() if is_lazy(p)]:
            raise CurvatureError(
                f"{some(lazy)} have no values yet (lazy modules). Run the model once on a batch, then measure."
            )
        if unsuited := [name for name, p in named.items() if not p.is_floating_point()]:
            raise CurvatureError(
                f"{some(unsuited)} are {named[unsuited[0]].dtype}: curvature is defined here for real parameters. Split "
                "complex ones into real and imaginary parts, or freeze them by requires_grad_(False)."
            )
        dtype = reduce(torch.promote_types, (p.dtype for p in named.values()), torch.float32)
        tensors = tuple(named.values())
        return cls(tuple(named), tensors, dtype, tensors[0].device)

    @property
    def shapes(self) -> tuple[torch.Size, ...]:
        """Shape of each parameter."""
        return tuple(p.shape for p in self.tensors)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of entries of each parameter."""
        return tuple(p.numel() for p in self.tensors)

    @property
    def dim(self) -> int:
        """Number of entries of all parameters."""
        return sum(self.sizes)

    def parts(self, flat: Tensor) -> list[Tensor]:
        """Cut a flat vector into tensors of the parameters' shapes, dtypes and devices."""
        return [
            part.view(p.shape).to(device=p.device, dtype=p.dtype)
            for part, p in zip(flat.split(self.sizes), self.tensors, strict=True)
        ]

    def join(self, parts: Sequence[Tensor | None]) -> Tensor:
        """Join tensors of the parameters' shapes into a flat vector; None is zero."""
        return torch.cat(
            [
                torch.zeros(p.numel(), dtype=self.dtype, device=self.device)
                if part is None
                else part.detach().reshape(-1).to(dtype=self.dtype, device=self.device)
                for part, p in zip(parts, self.tensors, strict=True)
            ]
        )

    def unflatten(self, flat: Tensor) -> dict[str, Tensor]:
        """Name the parts of a flat vector of shape (dim,)."""
        return dict(zip(self.names, self.parts(self.flatten(flat)), strict=True))

    def flatten(self, vector: ParameterVector) -> Tensor:
        """Read a vector in either form.

        Args:
            vector: Flat, of shape (dim,), or one tensor for every parameter by name.

        Returns:
            A flat tensor of shape (dim,) in the space's dtype, on its device.

        Raises:
            CurvatureError: The shape is another, or names are missing or unknown.
        """
        if isinstance(vector, Tensor):
            if vector.shape != (self.dim,):
                raise CurvatureError(
                    f"the vector has shape {tuple(vector.shape)}, and the {len(self.names)} trainable parameters have "
                    f"{self.dim} entries. Pass a flat tensor of shape ({self.dim},) in the order of "
                    "model.parameters(), or a dict by parameter name."
                )
            if vector.is_complex():
                raise CurvatureError(
                    f"the vector is {vector.dtype}, the parameters are real. Pass its real part."
                )
            return vector.detach().to(dtype=self.dtype, device=self.device)
        if not isinstance(vector, Mapping):
            raise CurvatureError(
                f"the vector is a {type(vector).__name__}. Pass a flat tensor of shape ({self.dim},) or a dict of "
                "tensors by parameter name."
            )
        missing = [name for name in self.names if name not in vector]
        unknown = [name for name in vector if name not in self.names]
        if missing or unknown:
            lacking = f"lacks {some(missing)}" if missing else ""
            spare = f"has {some(unknown)}, not trainable here" if unknown else ""
            raise CurvatureError(
                f"the vector {' and '.join(filter(None, (lacking, spare)))}. Give one tensor for each of the "
                f"{len(self.names)} trainable parameters, by its name in named_parameters()."
            )
        if numbers := [name for name in self.names if not isinstance(vector[name], Tensor)]:
            raise CurvatureError(
                f"the vector's {some(numbers)} are no tensors. Give one tensor per parameter."
            )
        for name, shape in zip(self.names, self.shapes, strict=True):
            if vector[name].shape != shape:
                raise CurvatureError(
                    f"the vector's {name!r} has shape {tuple(vector[name].shape)}, the parameter {tuple(shape)}."
                )
        return self.join([vector[name] for name in self.names])

    def like(self, flat: Tensor, given: ParameterVector) -> Tensor | dict[str, Tensor]:
        """Return a flat vector in the form in which another one was given."""
        return flat if isinstance(given, Tensor) else self.unflatten(flat)

    def map(self, function: Callable[[str, nn.Parameter], Tensor | None]) -> Tensor:
        """Build a flat vector from a function of each parameter's name and tensor; None is zero."""
        return self.join([function(name, p) for name, p in zip(self.names, self.tensors, strict=True)])
