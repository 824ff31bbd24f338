"""Find the user's own objects by `module:name` or `file.py:name`, and optimizers by name."""

from __future__ import annotations

from typing import Any

from similitude.core.errors import FactoryError
from similitude.core.references import MODEL, did_you_mean, load_factory, load_object

__all__ = ["MODEL", "did_you_mean", "load_factory", "load_object", "load_optimizer"]


def load_optimizer(reference: str) -> Any:
    """Find an optimizer: the name of a class of `torch.optim`, or `module:name`.

    Raises:
        FactoryError: There is none of this name.
    """
    if ":" in reference:
        return load_factory(reference, what="a function of the parameters that returns an optimizer")
    import torch

    known = {
        name
        for name, value in vars(torch.optim).items()
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and name != "Optimizer"
    }
    if reference not in known:
        by_case = {name.lower(): name for name in known}
        close = by_case.get(reference.lower())
        hint = f"Did you mean {close}?" if close else did_you_mean(reference, known)
        raise FactoryError(
            f"torch.optim has no optimizer '{reference}'. {hint + ' ' if hint else ''}Or name your own as "
            "module:name."
        )
    return getattr(torch.optim, reference)
