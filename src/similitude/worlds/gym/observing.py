"""Observations of simulated environments as dictionaries that also carry, outside the space, where they are from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from similitude.worlds.gym.privileged import privileged_state
from similitude.worlds.gym.senses import PLACE, proprioception

if TYPE_CHECKING:
    from similitude.worlds.gym.spaces import ObservationKind
    from similitude.worlds.simulation import Simulation


class Truth(NamedTuple):
    """Where an observation is from; what oracles act on.

    Attributes:
        simulation: The simulation, whose arrays are the true state.
        environment: Number of the environment in it; None for an observation of all of them.
    """

    simulation: Simulation
    environment: int | None


class Observation(dict[str, np.ndarray]):
    """A dictionary of arrays.

    Attributes:
        truth: Where it is from; None in copies, in pickles and after wrappers that made a new dictionary.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], truth: Truth | None = None) -> None:
        super().__init__(arrays)
        self.truth = truth

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> Observation:
        return Observation({name: array.copy() for name, array in self.items()})


def observe(simulation: Simulation, kind: ObservationKind) -> Observation:
    """Return what all environments see and feel, as new arrays with the environment as leading axis.

    Args:
        simulation: The environments.
        kind: Which arrays; see `spaces.observation_space`.
    """
    felt = proprioception(simulation)
    truth = Truth(simulation, None)
    if kind == "state":
        return Observation({"proprioception": felt, "state": privileged_state(simulation)}, truth)
    image = {"rgbd": simulation.view().copy()}
    if kind == "flat":
        return Observation(image | {"proprioception": felt}, truth)
    return Observation(image | {name: felt[:, place].copy() for name, place in PLACE.items()}, truth)


def one_of(observation: Observation, environment: int) -> Observation:
    """Return what one environment sees and feels, as new arrays."""
    truth = observation.truth
    return Observation(
        {name: array[environment].copy() for name, array in observation.items()},
        None if truth is None else Truth(truth.simulation, environment),
    )
