"""A GPT on C4 or any other tokenized text, for GPUs: width, depth and tokens free, the rest transferred by muP.

The text is two files of uint16 token numbers, `train.bin` and `validation.bin`, in the folder of the environment variable
TOKENS. Every trial is planned from one base, so that learning rate and weight decay are in the base's units. Cost is
the time that a trial takes, which `similitude tune --unit hours` measures. Not run here at this size.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import optuna
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import similitude as sim
from similitude.core.seeding import numpy_generator
from similitude.training.build import build_model

VOCABULARY = int(os.environ.get("VOCABULARY", "50304"))
CONTEXT = int(os.environ.get("CONTEXT", "1024"))
BATCH = int(os.environ.get("BATCH", "64"))
EVALUATE = 64
"""Batches of validation text."""
BASE = {"width": 256, "depth": 4}
WARMUP = 0.02

space = sim.Space(
    width=sim.Log(256, low=128, integer=True, multiple_of=64, role="scale"),
    depth=sim.Log(4, low=2, integer=True, role="scale"),
    tokens=sim.Log(1e8, low=1e7, role="scale"),
    learning_rate=sim.Log(3e-3, role="transfer"),
    weight_decay=sim.Log(0.1, role="transfer"),
    beta2=sim.Logit(0.95, low=0.8, high=0.999),
)


def make(width: int, depth: int) -> nn.Module:
    """Build the model of one size; heads have 64 units."""
    return sim.models.GPT(VOCABULARY, CONTEXT, width=width, depth=depth, head_dim=64)


def windows(file: Path, *, seed: int, step: int, device: str) -> tuple[Tensor, Tensor]:
    """Return tokens and next tokens (BATCH, CONTEXT) from random places of a file."""
    tokens = np.memmap(file, dtype=np.uint16, mode="r")
    starts = numpy_generator(seed, "batch", step).integers(len(tokens) - CONTEXT, size=BATCH)
    both = torch.from_numpy(tokens[starts[:, None] + np.arange(CONTEXT + 1)].astype(np.int64)).to(device)
    return both[:, :-1], both[:, 1:]


def loss_of(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Return the mean cross-entropy of the next token in nats, computed in bfloat16."""
    tokens, following = batch
    with torch.autocast(tokens.device.type, torch.bfloat16):
        logits = model(tokens)
    return F.cross_entropy(logits.float().flatten(0, 1), following.flatten())


def objective(trial: optuna.Trial) -> float:
    """Return the validation loss of one training."""
    values = space.suggest(trial)
    folder = Path(os.environ["TOKENS"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = {"width": values["width"], "depth": values["depth"]}
    sample = torch.zeros(1, 8, dtype=torch.long)
    plan = sim.plan(make, base=BASE, target=size, sample=sample, depth_rule="complete_p")
    model = build_model(lambda: make(**size), trial.number, plan).to(device)
    groups = plan.groups(model, lr=values["learning_rate"], weight_decay=values["weight_decay"])
    optimizer = torch.optim.AdamW(groups, betas=(0.9, values["beta2"]))
    steps = max(round(values["tokens"] / (BATCH * CONTEXT)), 2)
    warmup = max(WARMUP * steps, 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (steps - step) / max(steps - warmup, 1), 1)
    )
    for step in range(steps):
        optimizer.zero_grad()
        loss_of(model, windows(folder / "train.bin", seed=trial.number, step=step, device=device)).backward()
        optimizer.step()
        schedule.step()
    held_out = folder / "validation.bin"
    with torch.no_grad():
        losses = [loss_of(model, windows(held_out, seed=0, step=i, device=device)) for i in range(EVALUATE)]
    loss = float(torch.stack(losses).mean())
    if not math.isfinite(loss):
        space.fail(trial, "nan")
    return loss
