"""Tests run on one thread each: the workers of pytest-xdist are the parallelism. Those of Ray share one cluster."""

from collections.abc import Iterator

import pytest
import torch

from similitude.runs.ray import RayEngine

collect_ignore_glob = ["*/conftest.py"]  # no doctests there: as modules they would all have one name

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def ray_engine() -> Iterator[RayEngine]:
    """Connect to a local Ray cluster of two cores, which is started when the first test asks for it."""
    ray = pytest.importorskip("ray")
    ray.init(
        address="local",
        num_cpus=2,
        object_store_memory=80 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield RayEngine()
    assert ray.is_initialized(), "a test has closed the cluster of all tests"
    ray.shutdown()
