"""The names under which Gymnasium makes the environments."""

from __future__ import annotations

from importlib.util import find_spec

from similitude.worlds.tasks.catalog import TASKS


def register_environments() -> tuple[str, ...]:
    """Register one environment per task with Gymnasium; without Gymnasium there is nothing to do.

    Returns:
        The names, e.g. "similitude/Isle-eat-v1".
    """
    if find_spec("gymnasium") is None:
        return ()
    from gymnasium.envs.registration import register, registry

    names = []
    for task in TASKS:
        names.append(environment_id(task))
        if names[-1] not in registry:
            register(
                names[-1],
                entry_point="similitude.worlds.gym.environment:IsleEnv",
                vector_entry_point="similitude.worlds.gym.vector:IsleVectorEnv",
                kwargs={"task": task},
            )
    return tuple(names)


def environment_id(task: str) -> str:
    """Return the name of a task's environment."""
    return f"similitude/Isle-{task}-v1"
