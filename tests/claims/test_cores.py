"""The engine that claims compute many runs with."""

import torch

from similitude.claims.cores import engine_here
from similitude.runs.engine import InProcess
from similitude.runs.pool import ProcessPool


def test_a_process_per_thread(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert engine_here() == ProcessPool(workers=3)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert isinstance(engine_here(), InProcess)
