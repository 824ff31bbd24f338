"""Work in a copy of the process: results, errors, deaths and time limits, and nothing of it left behind."""

import os
import signal
import time

import pytest
import torch

from similitude.landscape.doctor_process import Ended, can_fork, in_child

pytestmark = pytest.mark.skipif(not can_fork(), reason="this process cannot be copied")


def test_a_copy_that_cannot_differentiate_is_found_by_trial(monkeypatch):
    def refusing(*arguments, **options):
        raise RuntimeError(
            "Unable to handle autograd's threading in combination with fork-based multiprocessing"
        )

    assert can_fork()
    monkeypatch.setattr(torch.autograd, "grad", refusing)
    assert not can_fork()


def test_results_come_one_by_one():
    assert in_child(lambda: iter([1, "two", None]), timeout=20) == Ended((1, "two", None))


def test_tensors_come_whole():
    given = torch.arange(300_000.0)  # more than a pipe holds at once
    (found,) = in_child(lambda: iter([given * 2]), timeout=20).items
    assert torch.equal(found, given * 2)


def test_closures_over_what_cannot_be_pickled_work():
    lock = open(os.devnull)  # noqa: SIM115
    assert in_child(lambda: iter([lock.name]), timeout=20).items == (os.devnull,)
    lock.close()


def test_an_error_is_told_after_what_came_before():
    ended = in_child(lambda: (1 / n for n in (2, 0)), timeout=20)
    assert ended.items == (0.5,)
    assert ended.error.startswith("ZeroDivisionError")
    assert not ended.died


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_death_is_an_answer(number):
    def work():
        yield "before"
        os.kill(os.getpid(), number)
        yield "after"

    ended = in_child(work, timeout=20)
    assert ended == Ended(("before",), f"the process was ended by {number.name}", died=True)


def test_leaving_without_a_word_is_a_death():
    def work():
        yield os._exit(7)

    assert in_child(work, timeout=20) == Ended((), "the process left with code 7", died=True)


def test_an_exit_inside_is_an_error():
    def work():
        yield 1
        raise SystemExit("enough")

    assert in_child(work, timeout=20) == Ended((1,), "SystemExit: enough")


def test_work_without_end_is_ended():
    begun = time.monotonic()

    def work():
        yield os.getpid()
        time.sleep(60)

    ended = in_child(work, timeout=0.3)
    assert time.monotonic() - begun < 20
    assert ended.died
    assert ended.error == "it did not end within 0.3 s"
    with pytest.raises(ProcessLookupError):
        os.kill(ended.items[0], 0)


def test_what_happens_inside_stays_there(capfd):
    weights = torch.zeros(3)
    threads = torch.get_num_threads()

    def work():
        weights.add_(1)
        print("heard by nobody")
        torch.set_num_threads(1)
        torch.manual_seed(5)
        yield float(weights.sum())

    state = torch.get_rng_state()
    assert in_child(work, timeout=20).items == (3.0,)
    assert weights.tolist() == [0.0, 0.0, 0.0]
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert capfd.readouterr() == ("", "")


def test_a_process_that_has_used_threads_can_still_be_copied():
    """OpenMP's threads are not copied; a copy that waited for them would hang."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        large = torch.randn(600, 600, requires_grad=True)
        (large @ large).sum().backward()

        def work():
            leaf = large.detach().requires_grad_()
            (slope,) = torch.autograd.grad((leaf @ leaf).square().sum(), leaf, create_graph=True)
            yield float(torch.autograd.grad(slope.sum(), leaf)[0].isfinite().all())

        assert in_child(work, timeout=60) == Ended((1.0,))
    finally:
        torch.set_num_threads(before)
