"""The recipes for GPUs at a tiny size on the CPU."""

from __future__ import annotations

import math

import c4_gpt
import numpy as np
import optuna
import pytest
import torch
from ppo import Agent

import similitude as sim


@pytest.fixture
def tokens(tmp_path, monkeypatch):
    """Text in which every token is the one before it plus one, of 16 tokens."""
    text = (np.arange(3000) % 16).astype(np.uint16)
    for part in ("train", "validation"):
        text.tofile(tmp_path / f"{part}.bin")
    monkeypatch.setenv("TOKENS", str(tmp_path))
    monkeypatch.setattr(c4_gpt, "VOCABULARY", 16)
    monkeypatch.setattr(c4_gpt, "CONTEXT", 8)
    monkeypatch.setattr(c4_gpt, "BATCH", 4)
    monkeypatch.setattr(c4_gpt, "EVALUATE", 2)
    return tmp_path


def test_windows_are_successive_tokens(tokens):
    first, following = c4_gpt.windows(tokens / "train.bin", seed=0, step=3, device="cpu")
    assert first.shape == following.shape == (4, 8)
    assert torch.equal((first + 1) % 16, following)
    again, _ = c4_gpt.windows(tokens / "train.bin", seed=0, step=3, device="cpu")
    assert torch.equal(first, again)


@pytest.mark.slow
def test_a_trial_on_tokens_learns(tokens, monkeypatch):
    small = sim.Space(dict(c4_gpt.space) | {"tokens": sim.Log(1e3, role="scale")})
    monkeypatch.setattr(c4_gpt, "space", small)
    study = optuna.create_study()
    study.enqueue_trial(small.center | {"width": 128, "depth": 2, "tokens": 640.0})
    study.optimize(c4_gpt.objective, n_trials=1)
    assert study.best_value < 0.8 * math.log(16)


def test_a_trial_of_the_benchmark_is_drawn_in_full_on_its_game(monkeypatch):
    pytest.importorskip("procgen", reason="procgen is not installed: pip install procgen2")
    import procgen_gpu

    seen = {}

    def trained(ppo, frames, **options):
        seen.update(options, frames=frames, horizon=ppo.horizon)
        return Agent(15, width=options["width"])

    monkeypatch.setattr(procgen_gpu, "trained", trained)
    monkeypatch.setattr(procgen_gpu, "judge", lambda agent, split, **options: float(options["plain"]))
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial(procgen_gpu.space.center)
    study.optimize(procgen_gpu.objective, n_trials=1)
    assert study.best_value == 0.0
    assert seen == {
        "seed": 0,
        "game": "starpilot",
        "count": 64,
        "plain": False,
        "width": 16,
        "device": "cpu",
        "frames": 1_000_000,
        "horizon": 256,
    }
