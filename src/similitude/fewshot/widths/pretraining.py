"""Pretraining of one encoder of the family, and where its weights are kept."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from similitude.core.errors import EvaluationError
from similitude.core.seeding import derive, seeded
from similitude.fewshot.learners.encoder import Encoder
from similitude.fewshot.widths.masking import MaskedModel, MaskedText, masked_loss
from similitude.fewshot.widths.settings import WidthSettings
from similitude.fewshot.widths.tokenizer import PAD
from similitude.models.text_encoder import TextEncoder
from similitude.scaling.plan import Plan
from similitude.training.build import build_model, build_optimizer
from similitude.training.loop import train
from similitude.training.schedule import WarmupLinear

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WARMUP = 0.1
"""Share of the steps in which the learning rate rises; it then falls linearly to zero."""


@dataclass(frozen=True)
class Pretraining:
    """One run of pretraining.

    Attributes:
        rule: Parametrization, `BASE` at the smallest width.
        width: Width.
        lr: Learning rate, as of the base.
        plan: Plan of the masked model; None where it would change nothing.
    """

    rule: str
    width: int
    lr: float
    plan: Plan | None = None

    def __str__(self) -> str:
        return f"pretraining, {self.rule}, width {self.width}, rate {self.lr:.3g}"

    def file(self, folder: Path) -> Path:
        """Return where the weights are kept."""
        return folder / "encoders" / f"{self.rule}-{self.width}-{self.lr:.6g}.pt"


@dataclass(frozen=True)
class Pretrained:
    """What a run of pretraining gave.

    Attributes:
        loss: Cross-entropy in nats on held-out text; infinite where it diverged.
        parameters: Parameters of the encoder.
        seconds: What it took.
    """

    loss: float
    parameters: int
    seconds: float


def make_encoder(settings: WidthSettings, vocabulary: int, width: int) -> TextEncoder:
    """Build the encoder of a width."""
    return TextEncoder(
        vocabulary, settings.length, width=width, depth=settings.depth, head_dim=settings.head_dim
    )


def make_masked(settings: WidthSettings, vocabulary: int, width: int) -> MaskedModel:
    """Build the model that is pretrained."""
    return MaskedModel(make_encoder(settings, vocabulary, width), width, vocabulary)


def pretrain(settings: WidthSettings, text: MaskedText, folder: Path, job: Pretraining) -> Pretrained:
    """Train the model of a job and keep its encoder; a diverged one keeps nothing.

    Args:
        settings: Sizes and steps.
        text: Its batches.
        folder: Folder of the study.
        job: What to train.
    """
    started = time.monotonic()
    make = partial(make_masked, settings, text.vocabulary, job.width)
    model = build_model(make, settings.seed, job.plan)
    groups = model.parameters() if job.plan is None else job.plan.groups(model, lr=job.lr)
    optimizer = partial(torch.optim.AdamW, lr=job.lr)
    steps = settings.pretraining_steps
    result = train(
        model,
        build_optimizer(optimizer, groups),
        batches=text,
        loss=masked_loss,
        steps=steps,
        seed=settings.seed,
        schedule=WarmupLinear(steps=steps, warmup=round(WARMUP * steps)),
    )
    encode = model.get_submodule("encode")
    if not result.diverged:
        _keep(encode, job.file(folder))
    parameters = sum(p.numel() for p in encode.parameters())
    return Pretrained(result.final, parameters, time.monotonic() - started)


def load_encoder(
    settings: WidthSettings, tokenizer: Tokenizer, folder: Path, job: Pretraining, *, name: str
) -> Encoder:
    """Return a pretrained encoder with its tokenizer.

    Raises:
        EvaluationError: Its weights are not there, or are those of another encoder.
    """
    with seeded(derive(settings.seed, "load")):
        encode = make_encoder(settings, tokenizer.get_vocab_size(), job.width)
    file = job.file(folder)
    try:
        encode.load_state_dict(torch.load(file, weights_only=True))
    except Exception as error:  # whatever torch raises of files that are cut or something else
        raise EvaluationError(
            f"{file}: no weights of an encoder of width {job.width} could be read ({type(error).__name__}). Remove it, "
            "and run the same command again, which trains it anew."
        ) from error
    return Encoder(
        name=name,
        encode=encode.eval(),
        tokenizer=tokenizer,
        width=job.width,
        max_length=settings.length,
        pad=PAD,
    )


def _keep(encode: nn.Module, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    torch.save(encode.state_dict(), part)
    os.replace(part, file)
