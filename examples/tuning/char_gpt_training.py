"""One training of a character GPT on Moby-Dick: its exact size, its operations, and the loss that it reaches."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch.nn import functional as F

import similitude as sim
from similitude.core.seeding import derive
from similitude.data.batches import TextBatches
from similitude.training.build import build_model

DEPTH = 2
CONTEXT = 32
BATCH = 16
VOCABULARY = 64
EVALUATE = 512
WARMUP = 0.05
"""Part of the steps over which the rate rises; from there it falls linearly to 0."""


@dataclass(frozen=True)
class Trained:
    """One run: its exact size, its cost, and the cross-entropy (nats per character) on the held-out text."""

    parameters: int
    tokens: int
    flop: float
    loss: float


def parameters_of(width: int) -> int:
    """Count the weights that multiply: the matrices of the blocks and of the head, without the tables of embeddings."""
    return 12 * DEPTH * width**2 + VOCABULARY * width


def width_of(parameters: float) -> int:
    """Return the width whose number of parameters is nearest."""
    root = (VOCABULARY**2 + 48 * DEPTH * parameters) ** 0.5
    below = max(int((root - VOCABULARY) / (24 * DEPTH)), 2)
    return min((below, below + 1), key=lambda width: abs(parameters_of(width) - parameters))


def flop_per_token(width: int) -> int:
    """Count the operations of training on a token: 6 per parameter, 12 per layer, position and unit in attention."""
    return 6 * parameters_of(width) + 12 * DEPTH * CONTEXT * width


def make(width: int) -> torch.nn.Module:
    """Build the model with one head as wide as itself, so that every width is possible."""
    return sim.models.GPT(VOCABULARY, CONTEXT, width=width, depth=DEPTH, head_dim=width)


@functools.cache
def batches() -> TextBatches:
    """Return the text in windows, with its last tenth held out."""
    return TextBatches(
        sim.data.load("text"), batch_size=BATCH, context=CONTEXT, vocabulary=VOCABULARY, evaluate=EVALUATE
    )


def train(text: TextBatches, *, parameters: float, tokens: float, learning_rate: float, seed: int) -> Trained:
    """Train from scratch on about `tokens` characters with Adam.

    Args:
        text: From `batches()`.
        parameters: Wanted number of parameters; the nearest width is built.
        tokens: Characters to train on, rounded to whole batches.
        learning_rate: Highest rate of the schedule.
        seed: Of initial weights and batches.
    """
    width = width_of(parameters)
    model = build_model(lambda: make(width), derive(seed, "init"))
    steps = max(round(tokens / (BATCH * CONTEXT)), 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, betas=(0.9, 0.98))
    warmup = max(WARMUP * steps, 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (steps - step) / max(steps - warmup, 1), 1)
    )
    for step in range(steps):
        optimizer.zero_grad()
        loss_of(model, text.batch(seed, step)).backward()
        optimizer.step()
        schedule.step()
    seen = steps * BATCH * CONTEXT
    with torch.no_grad():
        loss = loss_of(model, text.evaluation()).item()
    return Trained(parameters_of(width), seen, flop_per_token(width) * seen, loss)


def loss_of(model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Return the mean cross-entropy of the next character, in nats."""
    tokens, following = batch
    return F.cross_entropy(model(tokens).flatten(0, 1), following.flatten())
