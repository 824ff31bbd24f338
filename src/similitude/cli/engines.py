"""Where the runs of a study are computed: `--engine` and `--workers` of every command that trains many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from similitude.cli.options import at_least
from similitude.core.errors import GridError

if TYPE_CHECKING:
    from similitude.runs.engine import Engine


@contextmanager
def engine_of(name: str | None, workers: int | None, *, alone: bool) -> Iterator[Engine]:
    """Give the engine that the options of a command say; a cluster of Ray is kept while the body runs.

    Args:
        name: "inline", "process", or "ray", perhaps with settings (`ray:num_gpus=1`); by the number of workers where
            None.
        workers: How many runs at once.
        alone: Whether it is this process alone where neither is given; else a process per core.

    Raises:
        GridError: There is no such engine, or it cannot have so many workers.
        StudyError: The settings of Ray are wrong, or there is no cluster.
        ImportError: Ray is not installed.
    """
    from similitude.runs.engine import InProcess
    from similitude.runs.pool import ProcessPool
    from similitude.runs.ray_options import is_ray, ray_engine

    if workers is not None:
        at_least(workers, 1, "--workers")
    if name is not None and is_ray(name):
        with ray_engine(name, at_once=workers) as ray:
            yield ray
        return
    if name not in (None, "inline", "process"):
        raise GridError(
            f"--engine {name} is none: inline (this process), process (several of this machine) and ray are."
        )
    if name == "inline" and workers not in (None, 1):
        raise GridError(
            f"--engine inline is this process alone, and --workers {workers} were asked for. Drop one of them."
        )
    one = workers == 1 or (workers is None and alone)
    yield InProcess() if name == "inline" or (name is None and one) else ProcessPool(workers=workers)
