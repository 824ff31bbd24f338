"""A model before it has learned anything: its losses, and whether its centred output is zero, as paper 1 has it."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from similitude.core.errors import SimilitudeError, StudyError
from similitude.core.seeding import derive, seeded
from similitude.scaling.centred import Centred
from similitude.scaling.outputs import entry_of
from similitude.studies.gamma_experiment import GammaExperiment
from similitude.studies.names import name_of
from similitude.training.build import build_model

_ROUNDING = 1e-4
"""What may be left of the output, relative to it: two passes of one function differ by rounding alone."""


def check_start(experiment: GammaExperiment) -> None:
    """Refuse a model whose centred output is not zero before training.

    Both passes of `Centred` draw the same numbers from torch's generators and normalize by the same batch. What draws
    from a generator of its own, or counts its calls, differs from one pass to the next, and the difference divided by a
    small gamma would drown what is learned.

    Args:
        experiment: What is to be run; it is not checked where it is not centred.

    Raises:
        StudyError: The output is not zero on the first batch.
    """
    if not experiment.centre:
        return
    seed, gamma = experiment.seeds[0], experiment.gammas[-1]
    model = build_model(functools.partial(experiment.model, gamma), seed)
    sizes: dict[str, float] = {}

    def note(name: str) -> Any:
        def hook(_: nn.Module, __: Any, result: Any) -> None:
            value: Tensor = entry_of(result, experiment.output)
            sizes[name] = max(sizes.get(name, 0.0), float(value.detach().abs().max()))

        return hook

    for module in model.modules():
        if isinstance(module, Centred):
            module.register_forward_hook(note("centred"))
            module.model.register_forward_hook(note("plain"))
    batch = experiment.batches_at(gamma).batch(seed, 0)
    try:
        with seeded(derive(seed, "layers")), torch.no_grad():
            experiment.loss(model.train(), batch)
    except SimilitudeError:
        raise
    except Exception:
        return  # training fails as well, and says what is wrong with the loss or the batch
    if sizes.get("centred", 0.0) > _ROUNDING * sizes.get("plain", 0.0):
        raise StudyError(
            f"'{name_of(experiment.make)}' less its initial output is {sizes['centred']:.3g} before training, where its "
            f"output is {sizes['plain']:.3g}: two passes on one batch differ. Draw random numbers from torch's own "
            "generators, keep counters of calls out of the forward pass, or start the head at zero and pass "
            "centre=False (--no-centre)."
        )


def untrained(experiment: GammaExperiment, gamma: float, seed: int) -> float:
    """Return the loss of the untrained model on what final losses are measured on.

    A run is held against it: the loss of the first batch would be off by as much as batches differ, so that a network
    that died could look as if it had learned.
    """
    held_out = experiment.batches_at(gamma).evaluation()
    if held_out is None:
        last = range(experiment.steps - max(1, experiment.steps // 10), experiment.steps)
        return float(_before(experiment, gamma, seed, last).mean())
    model = build_model(functools.partial(experiment.model, gamma), seed)
    with seeded(derive(seed, "untrained")), torch.no_grad():
        return float(experiment.loss(model.eval(), held_out))


def untrained_curves(experiment: GammaExperiment) -> dict[tuple[float, int], np.ndarray]:
    """Return what training losses would be if nothing were learned: those of the untrained model on the same batches.

    Batches are harder and easier than each other. A loss over that of the untrained model on its own batch begins at 1
    exactly, so that a rise or a fall can be told from a change of the batch.

    Returns:
        By gamma and seed, shape (steps,).
    """
    found: dict[tuple[float, int], np.ndarray] = {}
    for seed in experiment.seeds:
        for gamma in experiment.gammas:
            first = (experiment.gammas[-1], seed)
            if experiment.centre and first in found:  # the output is zero at every gamma
                found[gamma, seed] = found[first]
            else:
                of = first if experiment.centre else (gamma, seed)
                found[of] = _before(experiment, of[0], seed, range(experiment.steps))
                found[gamma, seed] = found[of]
    return found


def _before(experiment: GammaExperiment, gamma: float, seed: int, steps: range) -> np.ndarray:
    """Return the losses of the untrained model on the batches of some steps, as a training run takes them."""
    model = build_model(functools.partial(experiment.model, gamma), seed)
    batches = experiment.batches_at(gamma)
    with seeded(derive(seed, "untrained")), torch.no_grad():
        return np.array([float(experiment.loss(model, batches.batch(seed, step))) for step in steps])
