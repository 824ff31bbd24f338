"""The ProcGen demo: levels that no two splits share, costs, comparisons that go on where they were, the script."""

from __future__ import annotations

import itertools
import json
import sys

import numpy as np
import optuna
import pytest
import torch
from scipy import stats

pytest.importorskip("procgen", reason="procgen is not installed: pip install procgen2")

import procgen_ppo
import procgen_runs
from ppo import PPO, Agent
from procgen_levels import LEVELS, Levels
from procgen_ppo import best_settings, gain, objective, space
from procgen_runs import Judged, compare, cost_of, frames_for

from similitude.core.seeding import derive
from similitude.tuning.trials.history import History


class Counted(Agent):
    """An agent that counts the frames that pass through it, forward and backward."""

    passes = 0.0

    def forward(self, frames):
        self.passes += len(frames) * (3 if torch.is_grad_enabled() else 1)
        return super().forward(frames)


def play(levels: Levels, steps: int) -> list[np.ndarray]:
    frames = []
    for step in range(steps):
        _, frame, _ = levels.observe()
        frames.append(frame)
        levels.act(np.full(levels.count, step % 15))
    return frames


def test_no_two_splits_share_a_level():
    spans = sorted((start, start + number) for start, number in LEVELS.values())
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def test_levels_are_the_same_for_a_seed_and_others_in_another_split():
    once, again = (play(Levels("starpilot", "train", count=2, seed=5), 12) for _ in range(2))
    other = play(Levels("starpilot", "held-out", count=2, seed=5), 12)
    assert once[0].shape == (2, 3, 64, 64)
    assert once[0].dtype == np.uint8
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(once, other, strict=True))


def test_a_run_costs_the_passes_that_it_makes(monkeypatch):
    made = []

    def counted(*args, **options):
        made.append(Counted(*args, **options))
        return made[-1]

    monkeypatch.setattr(procgen_runs, "Agent", counted)
    frames = 64 * procgen_runs.ENVIRONMENTS * 2
    procgen_runs.trained(PPO(epochs=2), frames, seed=0)
    # The state after the last step of a rollout is looked at as well, once to play on and once for its value.
    looks = 2 * procgen_runs.ENVIRONMENTS
    assert made[0].passes == pytest.approx(cost_of(frames, 2) * 1e6 + looks)


@pytest.mark.parametrize("epochs", [1, 3, 8])
def test_frames_for_a_cost_cost_it(epochs):
    assert cost_of(frames_for(0.5, epochs), epochs) == pytest.approx(0.5, rel=1e-3)


def test_the_objective_tells_costs_and_caps(monkeypatch):
    monkeypatch.setattr(procgen_ppo, "judge", lambda agent, split: float(len(split)))
    study = optuna.create_study(direction="maximize")
    for frames, epochs in ((4000, 1), (100_000, 8)):
        study.enqueue_trial(space.center | {"frames": frames, "epochs": epochs})
    study.optimize(objective, n_trials=2)
    first, second = study.trials
    assert first.value == len("validation")
    assert first.user_attrs["cost"] == cost_of(4000, 1) == 0.016
    assert second.user_attrs == {"cost": procgen_ppo.CAP, "similitude:failure": "cap"}


def test_a_comparison_trains_what_is_missing_alone(tmp_path, monkeypatch):
    calls = []

    def judged(name, settings, *, cost, seed):
        calls.append((name, seed))
        epochs = PPO(**settings).epochs
        paid = cost_of(frames_for(cost, epochs), epochs)
        return Judged(name, dict(settings), paid, seed, {"train": 1.0, "held-out": float(seed)})

    monkeypatch.setattr(procgen_runs, "judged", judged)
    file = tmp_path / "judged.jsonl"
    compare({"a": {}}, cost=0.1, seeds=2, file=file)
    found = compare({"a": {}, "b": {"epochs": 4}}, cost=0.1, seeds=2, file=file)
    assert calls == [("a", 1000), ("a", 1001), ("b", 1000), ("b", 1001)]
    assert [run.returns["held-out"] for run in found["a"]] == [1000, 1001]
    assert len(file.read_text().splitlines()) == 4
    assert json.loads(file.read_text().splitlines()[2])["settings"] == {"epochs": 4}
    compare({"b": {"epochs": 5}}, cost=0.1, seeds=1, file=file)
    assert calls[-1] == ("b", 1000)


def test_the_gain_is_that_of_a_paired_t_test():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 5), rng.normal(0, 1, 5)
    runs = [[Judged("x", {}, 1.0, i, {"train": v}) for i, v in enumerate(values)] for values in (a, b)]
    interval = stats.ttest_rel(a, b).confidence_interval(0.9)
    assert gain(*runs, "train") == pytest.approx((np.mean(a - b), interval.low, interval.high))


def test_the_best_settings_are_those_of_the_best_run_without_its_frames():
    study = optuna.create_study(direction="maximize")
    for value, cost, epochs in ((1.0, 0.1, 2), (9.0, 0.3, 5), (2.0, 0.4, 7)):
        study.enqueue_trial(space.center | {"epochs": epochs})
        trial = study.ask(space.distributions())
        trial.set_user_attr("cost", cost)
        study.tell(trial, value)
    assert best_settings(History.from_study(study, space)) == {
        name: value for name, value in (space.center | {"epochs": 5}).items() if name != "frames"
    }


def test_the_script_runs_from_end_to_end(tmp_path, monkeypatch, capsys):
    for module in (procgen_ppo, procgen_runs):
        monkeypatch.setattr(
            module, "trained", lambda ppo, frames, seed: Agent(15, width=2, seed=derive(seed))
        )
    monkeypatch.setattr(procgen_ppo, "judge", lambda agent, split: agent.policy.weight.abs().sum().item())
    monkeypatch.setattr(procgen_runs, "judge", lambda agent, split, **_: float(len(split)))
    arguments = ["--trials", "3", "--seeds", "2", "--folder", str(tmp_path), "--figures", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["procgen_ppo.py", *arguments])
    procgen_ppo.main()
    printed = capsys.readouterr().out
    assert "held-out levels, gain: +0.00 [+0.00, +0.00]" in printed
    assert (tmp_path / "tuning-procgen.svg").exists()
