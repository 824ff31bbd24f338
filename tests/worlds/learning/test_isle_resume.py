"""Trainings that are interrupted or killed go on, and end with the weights of those that were not."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from similitude.core.errors import WorldError
from similitude.worlds.learning.cloning import Cloning
from similitude.worlds.learning.ppo import PPO
from similitude.worlds.learning.saving import load_checkpoint
from similitude.worlds.learning.training import Trainer, Training

SMALL = Training(
    ("eat",),
    width=8,
    base=8,
    demonstrations=4,
    start=0.2,
    envs=4,
    pool=4,
    watched=2,
    every=2,
    cloning=Cloning(steps=20, batch=64),
    ppo=PPO(horizon=20, minibatches=2, patience=1),
)
FRAME = 4 * 20


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: p.clone() for name, p in trainer.network.state_dict().items()}


def test_a_training_that_is_resumed_ends_where_one_ends_that_was_not(tmp_path) -> None:
    whole = Trainer(SMALL, tmp_path / "whole")
    one = whole.run(6 * FRAME)
    assert (one.stage, one.frames, one.rollouts) == ("learning", 6 * FRAME, 6)
    assert [row["frames"] for row in one.watched] == [0, 2 * FRAME, 4 * FRAME, 6 * FRAME]
    assert (tmp_path / "whole" / "policy.pt").exists()

    first = Trainer(SMALL, tmp_path / "parts")
    first.run(0)  # cloning alone
    assert first.progress.stage == "cloned"
    Trainer(SMALL, tmp_path / "parts").run(3 * FRAME)
    second = Trainer(SMALL, tmp_path / "parts")
    assert second.progress.frames == 3 * FRAME
    two = second.run(6 * FRAME)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(second)[name]), name
    strip = [{k: v for k, v in row.items() if k != "seconds"} for row in one.learning]
    assert [{k: v for k, v in row.items() if k != "seconds"} for row in two.learning] == strip


def test_other_settings_and_broken_files_are_refused(tmp_path) -> None:
    Trainer(SMALL, tmp_path).run(0)
    with pytest.raises(WorldError, match=r"width 8, and this one has 16"):
        Trainer(replace(SMALL, width=16), tmp_path)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WorldError, match="no checkpoint of a training"):
        Trainer(SMALL, tmp_path)
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(WorldError, match="no state of a training"):
        Trainer(SMALL, tmp_path)


def test_time_ends_a_training(tmp_path) -> None:
    progress = Trainer(replace(SMALL, demonstrations=0), tmp_path).run(10**9, minutes=1e-9)
    assert progress.frames == 0
    assert progress.solved is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tasks": ()}, "no task"),
        ({"tasks": ("eta",)}, "eat"),
        ({"observation": "full"}, "state or flat"),
        ({"envs": 0}, "envs=0"),
        ({"demonstrations": -1}, "demonstrations=-1"),
    ],
)
def test_settings_that_cannot_be(wrong, said) -> None:
    with pytest.raises(WorldError, match=said):
        replace(SMALL, **wrong)


@pytest.mark.slow
def test_a_killed_process_goes_on_and_ends_as_one_that_was_not(tmp_path) -> None:
    command = [
        *(
            sys.executable,
            "-m",
            "similitude",
            "worlds",
            "train",
            "--tasks",
            "eat",
            "--width",
            "8",
            "--base",
            "8",
        ),
        *(
            "--clone",
            "4",
            "--clone-steps",
            "20",
            "--envs",
            "8",
            "--worlds",
            "2",
            "--json",
            "--steps",
            "48000",
        ),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole = [*command, "--out", str(tmp_path / "whole")]
    subprocess.run(whole, check=True, env=environment, capture_output=True)

    killed = [*command, "--out", str(tmp_path / "killed")]
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    process = subprocess.Popen(killed, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(3000):
            assert process.poll() is None, "it ended before it could be killed"
            if checkpoint.exists() and load_checkpoint(checkpoint)["progress"]["frames"] > 0:
                break
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = load_checkpoint(checkpoint)["progress"]["frames"]
    assert 0 < before < 48000
    said = subprocess.run(killed, check=True, env=environment, capture_output=True, text=True)
    assert json.loads(said.stdout)["frames"] == 48000
    one, two = (load_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("whole", "killed"))
    for name, tensor in one["network"].items():
        assert torch.equal(tensor, two["network"][name]), name
