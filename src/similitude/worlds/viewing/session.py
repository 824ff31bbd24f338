"""One episode that is played and written down at the same time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from similitude.core.errors import WorldError
from similitude.worlds.engine import columns as c
from similitude.worlds.simulation import Simulation
from similitude.worlds.tasks.limits import frame_limit
from similitude.worlds.viewing.recording import Recording
from similitude.worlds.world import World

if TYPE_CHECKING:
    from similitude.worlds.protocol.subjects import Policy


class Session:
    """An episode of a world, from its beginning; `recording` says at any time what was done so far.

    Args:
        world: The world.
        limit: Frames of the episode; the task's limit in evaluation by default.
        resolution: Rows and columns of pictures.
        backend: Backend of the simulation.

    Attributes:
        simulation: The simulation, of one environment.

    Example:
        >>> from similitude.worlds import make_world
        >>> session = Session(make_world("eat", 0.0, 0), backend="plain")
        >>> session.step(np.zeros(21))
        >>> session.recording("nobody").frames
        1
    """

    def __init__(
        self,
        world: World,
        *,
        limit: int | None = None,
        resolution: tuple[int, int] = (96, 96),
        backend: str = "numba",
    ) -> None:
        self.world = world
        self.limit = frame_limit(world.task, world.difficulty) if limit is None else limit
        self.simulation = Simulation(1, backend=backend, resolution=resolution)
        self.simulation.load(0, world, limit=self.limit)
        self._actions: list[np.ndarray] = []

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.simulation.done(0)

    @property
    def frame(self) -> int:
        """Frames played so far."""
        return len(self._actions)

    @property
    def success(self) -> bool:
        """Whether all food has been eaten."""
        return bool(self.simulation.body[0, c.FOOD_LEFT] == 0)

    @property
    def score(self) -> float:
        """Score so far."""
        return float(self.simulation.body[0, c.SCORE])

    def step(self, action: Any) -> None:
        """Act for one frame.

        Args:
            action: 21 numbers, or a mapping of "real" and "discrete".

        Raises:
            WorldError: The episode is over, or the action is not valid.
        """
        from similitude.worlds.gym.spaces import action_array

        if self.over:
            raise WorldError(f"the episode of {self.world.name} ended after {self.frame} frames.")
        array = action_array(action, 1)
        self.simulation.step(array)
        self._actions.append(array[0].copy())

    def look(self) -> np.ndarray:
        """Return what the eyes see: red, green, blue, depth, uint8, (rows, columns, 4)."""
        return self.simulation.view()[0].copy()

    def state(self) -> str:
        """Return the SHA-256 of body, hands and things: equal where, and only where, all bits are."""
        total = hashlib.sha256()
        for name in ("body", "hands", "things"):
            total.update(np.ascontiguousarray(getattr(self.simulation, name)[0], dtype="<f8").tobytes())
        return total.hexdigest()

    def recording(self, subject: str) -> Recording:
        """Return what was played so far.

        Args:
            subject: Who played.
        """
        actions = np.array(self._actions) if self._actions else np.zeros((0, 21))
        world = self.world
        return Recording(
            *(world.task, world.difficulty, world.seed, world.digest, self.limit, subject, actions),
            score=self.score,
            success=self.success,
            state=self.state(),
        )


def played(session: Session, policy: Policy) -> Iterator[Session]:
    """Let a policy play a session to its end; the session is given at the beginning and after every frame.

    Args:
        session: The session, whose pictures the policy sees if it looks at any.
        policy: The policy.
    """
    from similitude.worlds.gym.observing import observe, one_of

    if hasattr(policy, "reset"):
        policy.reset()  # pyright: ignore[reportAttributeAccessIssue]
    kind: Any = getattr(policy, "observation", "full")
    act_on = getattr(policy, "act_on", None)
    world = session.world
    info = {"task": world.task, "difficulty": world.difficulty, "seed": world.seed}
    yield session
    while not session.over:
        if act_on is not None:
            action = act_on(session.simulation, 0)
        else:
            action = policy(one_of(observe(session.simulation, kind), 0), info)
            info = {}
        session.step(action)
        yield session
