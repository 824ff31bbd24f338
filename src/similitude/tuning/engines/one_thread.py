"""One thread for linear algebra while a suggestion is computed, and as many as before afterwards.

Small matrices lose by threads: those of torch and of BLAS fight for the same cores.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

# Two suggestions at once would each restore what the other had set, and leave one thread for good.
_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Run the body of the `with` with one thread in torch, BLAS and OpenMP, one body at a time per process."""
    with _ONE_AT_A_TIME, threadpool_limits(limits=1):
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
