"""Whether the outputs carry the same constant in training and in evaluation: a multiplier that one path forgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from similitude.checking.losses import LossLike
from similitude.scaling.dataflow.interpret import analyse
from similitude.scaling.dataflow.passes import call_of
from similitude.scaling.dataflow.trace import trace


def compare_paths(
    models: Sequence[nn.Module], batches: Sequence[Any], loss: LossLike | None
) -> dict[str, list[list[float]]]:
    """Compare the paths at several widths.

    Args:
        models: One model per width.
        batches: What each is trained on.
        loss: The user's loss, or None where the model gives its own.

    Returns:
        By head and evaluation path the ratio of `path_ratios` per width; empty where the widths have other paths.
    """
    found: dict[str, list[list[float]]] = {}
    tables = [path_ratios(model, batch, loss) for model, batch in zip(models, batches, strict=True)]
    if len({len(table) for table in tables}) == 1:
        for paths in zip(*tables, strict=True):
            for name in sorted(set.intersection(*(set(path) for path in paths))):
                found.setdefault(name, []).append([path[name] for path in paths])
    return found


def path_ratios(model: nn.Module, batch: Any, loss: LossLike | None) -> list[dict[str, float]]:
    """Compare the constants that multiply the outputs of every head.

    The training path is the loss; evaluation paths are the calls of the model without labels that run: without the
    last positional argument, or without one of the keyword arguments.

    Args:
        model: A model with values.
        batch: What it is trained on.
        loss: The user's loss, or None where the model gives its own.

    Returns:
        For every evaluation path that runs, the constant in training over that in evaluation, by head; empty where
        the model has no path but the one.
    """
    training = _scales(model, call_of(batch, loss), batch)
    found = []
    for call in _without_labels(batch, loss):
        try:
            evaluation = _scales(model, call, batch)
        except Exception:  # the model needs what was left out
            continue
        both = {name: training[name] / evaluation[name] for name in training if evaluation.get(name)}
        if both:
            found.append(both)
    return found


def _without_labels(batch: Any, loss: LossLike | None) -> Iterator[Callable[[nn.Module], Any]]:
    if isinstance(batch, Mapping):
        for key in batch:
            yield call_of({k: v for k, v in batch.items() if k != key}, None)
    elif isinstance(batch, tuple | list) and len(batch) > 1:
        yield call_of(tuple(batch[:-1]), None)
    elif loss is not None:
        yield call_of(batch, None)


def _scales(model: nn.Module, call: Callable[[nn.Module], Any], batch: Any) -> dict[str, float]:
    """Return for every head the product of the constants on its way from what it reads to what is read of it."""
    flow = analyse(trace(model, call, inputs=batch))
    found: dict[str, float] = {}
    for use in flow.uses:
        if use.kind == "contract" and use.index not in flow.read_later:
            scale = flow.facts[use.operand].scale * use.weight.scale * flow.scales.get(use.index, 1.0)
            if scale:
                found[next(iter(use.weight.dims))] = abs(scale)
    return found
