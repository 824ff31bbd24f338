"""Two gloo processes: DDP and FSDP2, compiled, averaged, resumed and clipped, give the losses of one plain process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from distributed_program import CLIP, VOCABULARY, WIDTH, Net, plain

import similitude as sim

PROGRAM = Path(__file__).with_name("distributed_program.py")
WRAPPERS = ("ddp", "sharded_after", "sharded_before", "sharded_and_compiled")


pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What one process gives, and what each of two gives."""
    folder = tmp_path_factory.mktemp("two")
    sample = torch.zeros(2, 5, dtype=torch.long)
    plan = sim.plan(Net, base=16, target=WIDTH, sample=sample)
    assert {row.name for row in plan.rows if row.multiplier != 1} == {"norm.weight", "norm.bias"}
    plan.save(folder / "plan.json")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(folder)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        expected = plain(plan)
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output[-4000:]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return expected, [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("units", ["base", "unfolded"])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_losses_and_norms_are_those_of_one_process(results, wrapper, units):
    expected, found = results
    for each in found:
        for (loss, norm), (own_loss, own_norm) in zip(
            each[f"{wrapper} {units}"], expected[units], strict=True
        ):
            assert loss == pytest.approx(own_loss, rel=1e-5)
            assert norm == pytest.approx(own_norm, rel=1e-5)


def test_the_comparison_would_see_a_mistake(results):
    """Clipping happens, and its units matter to the losses."""
    expected, _ = results
    assert min(norm for units in ("base", "unfolded") for _, norm in expected[units]) > CLIP
    gap = max(abs(a - b) for (a, _), (b, _) in zip(expected["base"], expected["unfolded"], strict=True))
    assert gap > 1e-4 * VOCABULARY**0.5


def test_a_sharded_run_resumes_from_a_checkpoint(results):
    expected, found = results
    for each in found:
        losses, own = ([loss for loss, _ in run] for run in (each["resumed"], expected["constant"]))
        assert losses == pytest.approx(own, rel=1e-5)


def test_averages_of_weights_are_those_of_one_process(results):
    expected, found = results
    assert [each["average"] for each in found] == pytest.approx([expected["average"]] * 2, rel=1e-5)
