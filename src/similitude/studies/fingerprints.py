"""What decides the result of a training run, as names and plain values: the shared part of every study's fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils import _pytree as pytree

from similitude.data.batches import Batches, describe_batches
from similitude.scaling.axes import build_shapes
from similitude.scaling.optimizers import OptimizerLike, resolve
from similitude.scaling.sizes import Factory, Size
from similitude.studies.names import code_of, name_of
from similitude.training.loop import Loss
from similitude.training.schedule import Schedule


def training_fingerprint(
    make: Factory, size: Size, *, loss: Loss, optimizer: OptimizerLike, steps: int, schedule: Schedule
) -> dict[str, Any]:
    """Name a model and its training; the same in every process.

    Args:
        make: Function of the size that returns a model.
        size: The size whose model stands for the family.
        loss: `loss(model, batch) -> scalar`.
        optimizer: Optimizer class, instance or callable.
        steps: Optimizer steps per run.
        schedule: Multiplier of the learning rate by step.

    Raises:
        FactoryError: The model cannot be built.
    """
    spec = resolve(optimizer)
    return {
        "model": name_of(make),
        "code of the model": digest_of(make, size),
        "loss": name_of(loss),
        "optimizer": spec.name,
        "optimizer options": {k: v for k, v in sorted(spec.defaults.items()) if v is not None},
        "steps": steps,
        "schedule": name_of(schedule),
    }


def with_batches(mine: Mapping[str, Any], batches: Batches) -> dict[str, Any]:
    """Add what batches say of themselves; names that are taken get a prefix.

    Raises:
        DataError: The batches do not say what they are.
    """
    data = describe_batches(batches)
    return {**mine, **{f"batches: {key}" if key in mine else key: value for key, value in data.items()}}


def digest_of(make: Factory, size: Size) -> str:
    """Digest a model's tensors, modules and source code, so that an edited model is another experiment.

    Raises:
        FactoryError: The model cannot be built.
    """
    model = build_shapes(make, size)
    text = repr([(name, tuple(p.shape), str(p.dtype)) for name, p in model.named_parameters()])
    text += code_of(make, model)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_of_tensors(batch: Any) -> str:
    """Digest the values of all tensors in a nest of tuples, lists and dicts.

    Example:
        >>> ones = torch.ones(2)
        >>> digest_of_tensors((ones, {"a": ones})) == digest_of_tensors((ones, {"a": ones.clone()}))
        True
    """
    digest = hashlib.sha256()
    for leaf in pytree.tree_leaves(batch):
        if isinstance(leaf, torch.Tensor):
            digest.update(f"{leaf.dtype} {tuple(leaf.shape)}".encode())
            digest.update(leaf.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        else:
            digest.update(repr(leaf).encode())
    return digest.hexdigest()[:16]
