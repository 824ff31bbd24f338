"""The connection of this process to Ray: one that is there, a cluster by its address, or a local one of our own."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from similitude.core.errors import StudyError
from similitude.runs.engine import available_cores, one_line

_STORE_BYTES = 128 * 2**20
"""Shared memory of a local cluster for results, of which Ray would take 30 % of the machine; more goes to disk."""
_ANSWER_SECONDS = 10.0  # for a head node to answer; Ray itself would try for minutes


def import_ray() -> Any:
    """Return the module `ray`.

    Raises:
        ImportError: Ray is not installed.
    """
    first, hook, known = "ray" not in sys.modules, sys.excepthook, set(os.environ)
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            "RayEngine needs Ray, which is not installed. Install it with: pip install 'similitude[ray]'"
        ) from error
    if first:  # what it changes in this process when it is imported
        sys.excepthook = hook
        for name in set(os.environ) - known:
            del os.environ[name]
    return ray


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to Ray while the body runs; what was connected or started for it is closed after it.

    Args:
        address: "local", "auto" or host:port; see `similitude.RayEngine`.

    Raises:
        StudyError: There is no cluster at the address, or no local one can be started.
    """
    ray = import_ray()
    before = dict(os.environ)
    where = address or os.environ.get("RAY_ADDRESS") or "local"
    if ray.is_initialized():
        _check_same(ray, address)
        yield
        return
    if where.startswith("ray://"):
        raise StudyError(
            f"{where} is an address of Ray Client, which lacks the tasks that are used here. Run the command on a "
            "machine of the cluster with host:port or auto, e.g. by `ray job submit -- similitude ...`."
        )
    if where != "local":
        _knock(where)
    on_terminate = signal.getsignal(signal.SIGTERM)
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        _connect(ray, where)
        logger.setLevel(level)
        yield
    finally:
        logger.setLevel(level)
        ray.shutdown()
        _restore(before)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_terminate)


def room(needed: Mapping[str, float], *, wait_for_nodes: bool) -> int:
    """Return how many jobs the cluster computes at once, as it is now; at least 1.

    Args:
        needed: What one job needs, by Ray's name of the resource.
        wait_for_nodes: Whether nodes that are large enough may be still to come.

    Raises:
        StudyError: No node is large enough for a job.
    """
    nodes = [node["Resources"] for node in import_ray().nodes() if node["Alive"]]
    fits = [_fits(node, needed) for node in nodes]
    if not any(fits) and not wait_for_nodes:
        name = next((n for n in needed if all(node.get(n, 0) < needed[n] for node in nodes)), None)
        law = (
            f"the largest of {len(nodes)} nodes has {max((node.get(name, 0) for node in nodes), default=0):g}"
            if name
            else f"none of {len(nodes)} nodes has all of it"
        )
        wanted = ", ".join(f"{amount:g} {resource}" for resource, amount in needed.items())
        raise StudyError(
            f"A job that needs {wanted} would wait for ever on this Ray cluster: {law}. Ask for less per job, add a "
            "node, or pass RayEngine(wait_for_nodes=True) where the cluster adds nodes by itself."
        )
    return max(1, sum(fits))


def _fits(node: Mapping[str, float], needed: Mapping[str, float]) -> int:
    return int(min((node.get(name, 0.0) / amount for name, amount in needed.items() if amount), default=1))


def _connect(ray: Any, where: str) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    try:
        if where != "local":
            ray.init(address=where, **quiet)
            return
        # Statistics of use go over the network, and are asked about on the terminal.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            address="local",
            num_cpus=available_cores(),
            object_store_memory=_STORE_BYTES,
            include_dashboard=False,
            **quiet,
        )
    except (OSError, RuntimeError, ValueError, TimeoutError, ray.exceptions.RayError) as error:
        raise _no_cluster(where, error) from error


def _knock(where: str) -> None:
    """See that something listens at host:port, before anything of Ray is begun in this process."""
    host, colon, port = where.rpartition(":")
    if colon and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
        except OSError as error:
            raise _no_cluster(where, error) from error


def _no_cluster(where: str, error: Exception) -> StudyError:
    what = "No local Ray cluster could be started" if where == "local" else f"No Ray cluster at {where}"
    remedy = (
        "Look for room in the temporary folder and in /dev/shm, or use ProcessPool()."
        if where == "local"
        else "Start one with `ray start --head` and give its host:port, or leave the address out for a local one."
    )
    return StudyError(f"{what}: {one_line(error)}. {remedy}")


def _check_same(ray: Any, address: str | None) -> None:
    here = ray.get_runtime_context().gcs_address
    if address not in (None, "auto", "local", here):
        raise StudyError(
            f"This process is connected to the Ray cluster at {here}, not to {address}. Call ray.shutdown() before, or "
            "leave the address out."
        )


def _restore(before: Mapping[str, str]) -> None:
    """Take back what Ray put into the environment of this process."""
    for name in set(os.environ) - set(before):
        if name.startswith("RAY_") or name == "PYTHONBREAKPOINT":
            del os.environ[name]
    if "PYTHONBREAKPOINT" in before:
        os.environ["PYTHONBREAKPOINT"] = before["PYTHONBREAKPOINT"]
