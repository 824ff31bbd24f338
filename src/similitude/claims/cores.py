"""Where a claim computes the many runs of a study: on the cores that its process was given."""

from __future__ import annotations

import torch

from similitude.runs.engine import Engine, InProcess
from similitude.runs.pool import ProcessPool


def engine_here() -> Engine:
    """Return an engine of as many processes as this one may use threads.

    That is this process alone where claims are measured side by side, a core each: processes of its own would then share
    that core, and each would load torch first.
    """
    threads = torch.get_num_threads()
    return InProcess() if threads == 1 else ProcessPool(workers=threads)
