"""Playing fixed worlds with a policy: a row of results per world, kept as soon as it is there, resumable."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from similitude.core.errors import EvaluationError
from similitude.evaluation.rowfile import RowFile
from similitude.evaluation.rows import Row
from similitude.report.files import write_atomically
from similitude.runs.engine import Engine, InProcess, one_line
from similitude.worlds.budget import Value
from similitude.worlds.gym.episodes import Episodes, made
from similitude.worlds.gym.runner import Runner
from similitude.worlds.protocol.definition import EVALUATION, NAME
from similitude.worlds.protocol.subjects import Subject
from similitude.worlds.simulation import Simulation
from similitude.worlds.splits import WorldName
from similitude.worlds.world import World, checked_name

PARAMETER = "world."
"""What the names of world parameters begin with among the metrics of rows."""


@dataclass(frozen=True)
class Played:
    """What a policy scored.

    Attributes:
        subject: Its name.
        rows: A row per world, failed ones too, in the order asked for.
        found: How many of them were there already.
    """

    subject: str
    rows: tuple[Row, ...]
    found: int = 0

    @property
    def failures(self) -> tuple[Row, ...]:
        """The rows without a score."""
        return tuple(row for row in self.rows if row.failed)


def play(
    subject: Subject,
    worlds: Iterable[WorldName],
    *,
    seed: int = 0,
    out: str | Path | None = None,
    engine: Engine | None = None,
    backend: str = "numba",
    on_done: Callable[[Row], None] = lambda row: None,
) -> Played:
    """Play worlds with a policy, one episode each.

    A policy that raises leaves a row that says why, and the run goes on.

    Args:
        subject: The policy.
        worlds: Names of the worlds.
        seed: Seed of the policy; with the world's name it seeds every episode, whatever was played before.
        out: A folder for the rows; worlds that it holds for this policy and seed are not played again.
        engine: Where they are played; None for this process.
        backend: Backend of the simulation.
        on_done: Called with every row as soon as it is there.

    Raises:
        EvaluationError: No world is named, or the folder holds something else, such as rows of a policy's file that
            has changed since.
        WorldError: There is no such backend, or the seed is no whole number of 0 or more.
    """
    seed = checked_name(0.0, seed)[1]
    asked = list(dict.fromkeys(worlds))
    if not asked:
        raise EvaluationError("no world is named, so there is nothing to play. Name at least one.")
    Simulation(1, backend=backend, resolution=(8, 8))  # a backend that is not there is no fault of the policy
    file = None if out is None else RowFile(out)
    rows = {} if file is None else _known(file, subject.name, seed)
    if file is not None and subject.file is not None:
        _same_policy(file, subject.file, begun=bool(rows))
    left = [name for name in asked if name not in rows]
    found = len(asked) - len(left)
    for name in asked:
        if name in rows:
            on_done(rows[name])

    def done(name: WorldName, row: Row) -> None:
        rows[name] = row
        if file is not None:
            file.add(row)
        on_done(row)

    work = partial(play_one, subject=subject, seed=seed, backend=backend)
    (engine or InProcess()).map(
        work, left, on_done=done, name=lambda name: f"{name[0]}-{name[1]:g}-{name[2]}"
    )
    return Played(subject.name, tuple(rows[name] for name in asked), found)


def play_one(name: WorldName, *, subject: Subject, seed: int, backend: str) -> Row:
    """Play one world and return its row; what the policy raises is in the row."""
    started = time.monotonic()
    world = made(WorldName(*name))
    params = {"difficulty": world.difficulty, "world": world.seed, "digest": world.digest[:16]}
    row = partial(Row, NAME, world.task, subject.name, params=params, seed=seed, version=EVALUATION)
    try:
        policy = subject.make(world.task, _episode_seed(seed, world.digest))
        outcome = _episode(policy, world, backend)
    except Exception as error:
        return row(score=float("nan"), seconds=time.monotonic() - started, error=one_line(error))
    metrics = {"frames": float(outcome["frames"]), **numbers_of(world.parameters)}
    return row(
        score=outcome["score"],
        success=outcome["success"],
        seconds=time.monotonic() - started,
        metrics=metrics,
    )


def numbers_of(parameters: Mapping[str, Value]) -> dict[str, float]:
    """Return parameters of a world as metrics of a row: texts as an indicator of their value.

    Example:
        >>> numbers_of({"gap": 1.5, "indoor": True, "food": "fig"})
        {'world.gap': 1.5, 'world.indoor': 1.0, 'world.food=fig': 1.0}
    """
    return {
        f"{PARAMETER}{name}={value}" if isinstance(value, str) else f"{PARAMETER}{name}": (
            1.0 if isinstance(value, str) else float(value)
        )
        for name, value in parameters.items()
    }


def row_record(row: Row) -> dict[str, Any]:
    """Return a row as the command prints it: task, difficulty, seed of the world, score, success and the rest."""
    return {
        "task": row.task,
        "difficulty": row.params["difficulty"],
        "seed": row.params["world"],
        "policy": row.subject,
        "score": row.score,
        "success": row.success,
        "frames": row.metrics.get("frames"),
        "seconds": row.seconds,
        "digest": row.params["digest"],
        **({"error": row.error} if row.error else {}),
    }


def _episode(policy: Any, world: World, backend: str) -> Mapping[str, Any]:
    if hasattr(policy, "act_on"):
        return _blind_episode(policy, world, backend)
    kind = getattr(policy, "observation", "full")
    resolution = tuple(getattr(policy, "resolution", (96, 96)))
    env = _environment(world.task, kind, resolution, backend)
    observation, info = env.reset(seed=0, options={"world": world})
    if hasattr(policy, "reset"):
        policy.reset()
    informed = takes_info(policy)
    ended = False
    while not ended:
        action = policy(observation, info) if informed else policy(observation)
        observation, _, terminated, truncated, info = env.step(action)
        ended = terminated or truncated
    return info


def takes_info(policy: Callable[..., Any]) -> bool:
    """Whether a policy wants the info beside an observation: whether it has a second argument.

    Example:
        >>> takes_info(lambda observation: 0), takes_info(lambda observation, info: 0)
        (False, True)
    """
    try:
        signature(policy).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # what is not written in Python may not tell its arguments
        return False
    return True


def _blind_episode(policy: Any, world: World, backend: str) -> Mapping[str, Any]:
    """Play without making observations, for policies that look at none."""
    runner = _runner(world.task, backend)
    runner.seed(0, 0)
    runner.begin(0, options={"world": world})
    policy.reset()
    ended = False
    while not ended:
        _, terminated, truncated = runner.step(policy.act_on(runner.simulation, 0)[None])
        ended = bool(terminated[0] or truncated[0])
    return runner.outcome(0)


@lru_cache(maxsize=1)
def _runner(task: str, backend: str) -> Runner:
    return Runner(1, Episodes(task), resolution=(8, 8), training=False, backend=backend)


@lru_cache(maxsize=4)
def _environment(task: str, kind: Any, resolution: tuple[int, int], backend: str) -> Any:
    from similitude.worlds.gym.environment import IsleEnv

    return IsleEnv(task, observation=kind, resolution=resolution, backend=backend)


def _episode_seed(seed: int, digest: str) -> int:
    """Return a seed that policy and world determine together, below 2**31 for libraries that want that."""
    return int(np.random.SeedSequence([seed, int(digest[:16], 16)]).generate_state(1)[0]) >> 1


def _same_policy(file: RowFile, policy: Path, *, begun: bool) -> None:
    """Keep the digest of a policy's file beside its rows, or hold it against the one that is kept."""
    note = file.path.with_suffix(".policy")
    digest = hashlib.sha256(policy.read_bytes()).hexdigest()
    if begun and note.is_file() and note.read_text(encoding="utf-8").strip() != digest:
        raise EvaluationError(
            f"the rows in {file.path} were played by another {policy.name}: its content has changed since, or it is "
            "another file of that name. Name another folder, or remove this one."
        )
    if not (begun and note.is_file()):
        write_atomically(note, digest + "\n")


def _known(file: RowFile, subject: str, seed: int) -> dict[WorldName, Row]:
    found: dict[WorldName, Row] = {}
    for row in file.read():
        if row.suite != NAME or row.subject != subject or not {"difficulty", "world"} <= set(row.params):
            raise EvaluationError(
                f"{file.path} holds a row of {row.suite!r} by {row.subject!r}, and this is {NAME!r} by {subject!r}. Give "
                "every policy a folder of its own; `similitude suite report` joins them."
            )
        if row.seed != seed or row.failed or row.version != EVALUATION:
            continue
        name = WorldName(row.task, float(row.params["difficulty"] or 0.0), int(row.params["world"] or 0))
        found[name] = row
    return found
