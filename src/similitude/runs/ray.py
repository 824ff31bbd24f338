"""The engine that computes jobs as tasks of Ray: on this machine, or on all machines of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from similitude.core.errors import StudyError
from similitude.runs.engine import Failure, J, JobsFailedError, R, one_line
from similitude.runs.ray_cluster import connected, import_ray, room
from similitude.runs.ray_tasks import RayTasks

_AHEAD = (
    2  # jobs handed over per job that has room, so that no worker waits and a cluster sees what is wanted
)


@dataclass(frozen=True)
class RayEngine:
    """Compute jobs as tasks of Ray, which are started again when a worker or a machine dies.

    A process that is connected to Ray already (`ray.init()`) stays so. Else a cluster is looked for at the address, and
    without one a local cluster is started, which takes seconds; both end with each `map`, or, where the engine is used as
    a context, with the context. Functions of a script are sent along; other modules must be importable on every node.

    Attributes:
        address: host:port of a cluster's head; "auto" for the one that runs on this machine; "local" for a new one. By
            default the environment variable RAY_ADDRESS, else "local".
        num_cpus: Cores for one job; a whole number of them is the number of its threads.
        num_gpus: GPUs for one job; a fraction lets several share one.
        memory: Bytes of memory that Ray keeps free for one job.
        resources: Amounts of resources that nodes of the cluster have by names of your own.
        retries: How often a job is started again after its worker or node was lost; not where it raises an error.
        at_once: Most jobs that Ray has at a time; by default as many as have room, and as many again in wait.
        wait_for_nodes: Wait where no node is large enough for a job, because the cluster adds nodes by itself.

    Raises:
        StudyError: A number is out of its range.

    Example:
        `similitude.transfer(..., engine=similitude.RayEngine(num_gpus=1))`
    """

    address: str | None = None
    num_cpus: float = 1.0
    num_gpus: float = 0.0
    memory: int | None = None
    resources: Mapping[str, float] | None = None
    retries: int = 2
    at_once: int | None = None
    wait_for_nodes: bool = False
    _open: list[AbstractContextManager[None]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        least = {"num_cpus": 0, "num_gpus": 0, "memory": 1, "retries": 0, "at_once": 1}
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and not value >= low:
                raise StudyError(f"RayEngine({name}={value}) cannot be: {name} is at least {low}.")

    def __enter__(self) -> Self:
        """Connect to Ray, and stay connected until the context ends."""
        connection = connected(self.address)
        connection.__enter__()
        self._open.append(connection)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.pop().__exit__(kind, error, trace)

    def map(
        self,
        function: Callable[[J], R],
        jobs: Sequence[J],
        *,
        on_done: Callable[[J, R], None],
        name: Callable[[J], str] = str,
    ) -> None:
        """Compute every job; see `Engine.map`.

        Raises:
            StudyError: The function or a job cannot be sent, there is no cluster, or no node of it has room for a job.
            ImportError: Ray is not installed.
        """
        sent = pickled(function, f"Function {getattr(function, '__qualname__', function)!r}")
        waiting = [(index, pickled(job, f"Job {name(job)!r}")) for index, job in enumerate(jobs)][::-1]
        failures: list[Failure] = []
        if not jobs:
            return
        with connected(self.address):
            tasks = self.tasks(sent)
            try:
                while waiting or len(tasks):
                    most = self.at_once or _AHEAD * self.room()
                    while waiting and len(tasks) < most:
                        tasks.start(*waiting.pop())
                    for news in tasks.wait():
                        if news.kind in ("started", "retried"):
                            continue
                        job = jobs[news.key]
                        if news.kind == "done":
                            on_done(job, news.result)
                        else:
                            reason = news.reason or "Ray was told from outside to cancel it"
                            failures.append(Failure(job, name(job), reason, news.traceback))
            finally:
                tasks.stop_all()
        if failures:
            raise JobsFailedError(failures, len(jobs))

    def tasks(self, function: bytes) -> RayTasks:
        """Return the means to start, hear of and stop jobs one by one, for a pickled function of a job.

        This process must be connected: inside `with engine:`.
        """
        options = {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus, "resources": self.resources}
        if self.memory is not None:
            options["memory"] = self.memory
        return RayTasks(function, options, retries=self.retries, threads=max(1, int(self.num_cpus)))

    def room(self) -> int:
        """Return how many jobs the cluster computes at once, as it is now; inside `with engine:`.

        Raises:
            StudyError: No node is large enough for a job, and it was not asked to wait for one.
        """
        needed = {"CPU": self.num_cpus, "GPU": self.num_gpus, "memory": self.memory or 0}
        needed |= dict(self.resources or {})
        return room({n: a for n, a in needed.items() if a}, wait_for_nodes=self.wait_for_nodes)


def pickled(what: Any, name: str) -> bytes:
    """Pickle a function or a job for a worker of Ray, functions of a script and lambdas included.

    Raises:
        StudyError: It cannot be pickled.
    """
    ray = import_ray()
    try:
        return ray.cloudpickle.dumps(what)
    except Exception as error:  # whatever the user's class raises
        raise StudyError(
            f"{name} cannot be sent to a worker of Ray: {one_line(error)}. Keep open files, locks and the like out of "
            "it, or use InProcess()."
        ) from error
