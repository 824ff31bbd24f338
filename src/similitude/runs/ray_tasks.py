"""Jobs as tasks of Ray: started, heard of, stopped and, where their worker or node is lost, started again."""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from similitude.runs.engine import one_line
from similitude.runs.ray_cluster import import_ray
from similitude.runs.worker import compute, limit_threads


@dataclass(frozen=True)
class News:
    """What became of a task.

    Attributes:
        key: Which task.
        kind: "started": a worker has begun with it; "done": it has a result; "failed": its function raised; "retried":
            its worker or node died, and it is started again; "lost": the same, and it is not; "stopped": it was stopped.
        result: What the function returned, where it is done.
        reason: The error in one line, where it failed, is retried or is lost.
        traceback: Where the error was raised, where it failed.
        node: Where it was started: the name of the node.
    """

    key: int
    kind: Literal["started", "done", "failed", "retried", "lost", "stopped"]
    result: Any = None
    reason: str = ""
    traceback: str = ""
    node: str = ""


@dataclass
class _Task:
    key: int
    job: bytes
    stream: Any
    losses: int = 0
    stopped: bool = False


@dataclass
class RayTasks:
    """Tasks of one function on a cluster that this process is connected to.

    Args:
        function: The pickled function of a job (by `ray.cloudpickle`, which also takes functions of a script).
        options: Resources of one task, by Ray's names for its options: num_cpus, num_gpus, memory, resources.
        retries: How often a task is started again after its worker or node was lost.
        threads: How many threads a task may use.
    """

    function: bytes
    options: Mapping[str, Any]
    retries: int
    threads: int
    _tasks: dict[Any, _Task] = field(default_factory=dict, init=False)  # by the stream of its messages

    def __post_init__(self) -> None:
        # Ray's own retries would make neither a difference between causes nor an end after an out-of-memory kill.
        self._remote = import_ray().remote(
            max_retries=0, retry_exceptions=False, num_returns="streaming", **self.options
        )(_serve)
        self._place = (os.getcwd(), [path for path in sys.path if path])

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, key: int, job: bytes) -> None:
        """Hand a pickled job over to Ray, which starts it once there is room."""
        self._submit(_Task(key, job, None))

    def stop(self, key: int) -> None:
        """Kill the worker of a task, or take the task back if none has it yet; "stopped" is heard of it."""
        for task in self._tasks.values():
            if task.key == key and not task.stopped:
                task.stopped = True
                import_ray().cancel(task.stream, force=True)

    def stop_all(self, patience: float = 5.0) -> None:
        """Stop every task, and wait so many seconds at most until they are gone."""
        for task in list(self._tasks.values()):
            self.stop(task.key)
        end = time.monotonic() + patience
        while self._tasks and time.monotonic() < end:
            self.wait(max(0.0, end - time.monotonic()))

    def wait(self, seconds: float | None = None, *, also: Sequence[Any] = ()) -> list[News]:
        """Wait until there is something new, or so many seconds.

        Args:
            seconds: How long at most; without end where None.
            also: References of Ray that end the waiting too.
        """
        ray = import_ray()
        ready, _ = ray.wait([*also, *self._tasks], num_returns=1, timeout=seconds)
        if also and self._tasks:  # what is waited for beside must not hide what the tasks say
            ready, _ = ray.wait(list(self._tasks), num_returns=1, timeout=0)
        return [self._hear(ray, stream) for stream in ready if stream in self._tasks]

    def _hear(self, ray: Any, stream: Any) -> News:
        task = self._tasks.pop(stream)
        try:
            message = ray.get(next(stream))
        except StopIteration:
            return self._lost(task, "its worker ended without a result")
        except ray.exceptions.TaskCancelledError:
            return News(task.key, "stopped")
        except ray.exceptions.RayTaskError as error:  # outside the function: similitude itself is not there
            cause = getattr(error, "cause", None) or error
            return News(task.key, "failed", reason=one_line(cause), traceback=str(error))
        except ray.exceptions.RayError as error:
            return self._lost(task, _loss(error))
        if isinstance(message, str):
            self._tasks[stream] = task
            return News(task.key, "started", node=message)
        result, reason, trace = pickle.loads(message)
        if reason is None:
            return News(task.key, "done", result=result)
        return News(task.key, "failed", reason=reason, traceback=trace)

    def _lost(self, task: _Task, reason: str) -> News:
        if task.stopped:
            return News(task.key, "stopped")
        if task.losses < self.retries:
            self._submit(_Task(task.key, task.job, None, task.losses + 1))
            return News(task.key, "retried", reason=reason)
        times = f", {task.losses + 1} times in all" if task.losses else ""
        return News(task.key, "lost", reason=f"{reason}{times}")

    def _submit(self, task: _Task) -> None:
        task.stream = self._remote.remote(self.function, task.job, self._place, self.threads)
        self._tasks[task.stream] = task


def _serve(function: bytes, job: bytes, place: tuple[str, list[str]], threads: int) -> Iterator[str | bytes]:
    """Compute one job in a worker of Ray: say where, then what came out.

    Modules are found where this job's driver finds them, as far as the node has the same folders.
    """
    folder, paths = place
    with suppress(OSError):
        os.chdir(folder)
    sys.path += [path for path in paths if path not in sys.path and os.path.exists(path)]
    limit_threads(threads)
    yield import_ray().util.get_node_ip_address()
    yield compute(function, job, threads)


def _loss(error: BaseException) -> str:
    kinds = {
        "WorkerCrashedError": "its worker process died",
        "OutOfMemoryError": "Ray killed its worker because the node's memory ran out",
        "NodeDiedError": "its node died",
        "LocalRayletDiedError": "Ray ended on its node",
    }
    return kinds.get(type(error).__name__) or one_line(error)
