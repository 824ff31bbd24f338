import threading

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from similitude.tuning.engines.one_thread import one_thread


def threads() -> list[int]:
    np.linalg.inv(np.eye(3))  # so that BLAS is there
    return sorted(pool["num_threads"] for pool in threadpool_info())


def test_one_thread_inside_and_as_many_as_before_afterwards():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        outside = threads()
        with one_thread():
            assert torch.get_num_threads() == 1
            assert set(threads()) == {1}
        assert torch.get_num_threads() == 3
        assert threads() == outside
    finally:
        torch.set_num_threads(before)


def test_an_error_inside_restores_them_too():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with pytest.raises(ValueError, match="inside"), one_thread():
            raise ValueError("inside")
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_two_bodies_do_not_overlap():
    inside = []
    entered, leave = threading.Event(), threading.Event()

    def first():
        with one_thread():
            inside.append("first")
            entered.set()
            leave.wait(5)
            inside.append("first leaves")

    def second():
        with one_thread():
            inside.append("second")

    a, b = threading.Thread(target=first), threading.Thread(target=second)
    a.start()
    assert entered.wait(5)
    b.start()
    leave.set()
    a.join(5)
    b.join(5)
    assert inside == ["first", "first leaves", "second"]
