"""Fine-tuning: the whole encoder and a readout are trained on a split (paper 18)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.seeding import derive, seeded
from similitude.fewshot.examples import Answer, Example, Query
from similitude.fewshot.learners.constant import require_examples
from similitude.fewshot.learners.encoder import Encoder
from similitude.fewshot.learners.targets import Target, target_of
from similitude.fewshot.learners.tuned import Recipe, Tuned, device_of, token_outputs
from similitude.fewshot.tasks import Task
from similitude.training.result import RunResult

BATCH = 32
"""Queries that are answered at once."""


@cites(18, "Section 4: classic fine-tuning")
@dataclass(frozen=True)
class FineTune:
    """Train a copy of an encoder, with a readout that fits the kind of answers, on each split.

    Nothing is selected: the recipe is fixed beforehand, and the last step's weights answer. With a plan (made of
    `Tuned`, see there) the recipe's learning rate is that of the base width.

    Attributes:
        encoder: An encoder that is a module; it stays as it is.
        recipe: How it is trained.
    """

    encoder: Encoder
    recipe: Recipe = field(default_factory=Recipe)

    @property
    def name(self) -> str:
        """Its name in tables."""
        return f"fine-tune({self.encoder.label}, {self.recipe.label})"

    def fit(self, examples: Sequence[Example], task: Task, *, seed: int) -> TunedPredictor:
        """Train on a split.

        Raises:
            EvaluationError: The encoder is no module.
            LearnerError: There is no example, or the loss is not finite at some step.
            PlanError: The recipe's plan is not one of the encoder with this readout.
        """
        require_examples(examples, task)
        return fine_tuned(self.encoder, target_of(task, examples), examples, self.recipe, seed=seed)


def fine_tuned(
    encoder: Encoder, target: Target, examples: Sequence[Example], recipe: Recipe, *, seed: int
) -> TunedPredictor:
    """Train a copy of an encoder with a readout for a target.

    Args:
        encoder: An encoder that is a module; it stays as it is.
        target: What is read off its tokens; it may know labels that no example has.
        examples: The labelled examples.
        recipe: How it is trained.
        seed: Seed of all randomness.

    Raises:
        EvaluationError: The encoder is no module.
        LearnerError: The loss is not finite at some step.
        PlanError: The recipe's plan is not one of the encoder with this readout.
    """
    module = copy.deepcopy(encoder.module)
    with seeded(derive(seed, "readout")):
        model = Tuned(module, encoder.width, target.outputs)
    model.to(device_of(module))

    def loss(model: Tuned, rows: list[Example]) -> Tensor:
        return _losses(model, encoder, target, rows).mean()

    result = recipe.run(model, examples, loss, seed=seed)
    return TunedPredictor(model, encoder, target, result)


@dataclass(frozen=True)
class TunedPredictor:
    """Answers by a trained encoder and readout.

    Attributes:
        model: What was trained.
        encoder: Its tokenizer and limits.
        target: What is read off its tokens.
        result: Losses by step.
    """

    model: Tuned
    encoder: Encoder
    target: Target
    result: RunResult

    def predict(self, queries: Sequence[Query]) -> list[Answer]:
        """Return one answer per query, in order."""
        encodings = self.encoder.tokens([self.target.texts(query) for query in queries]) if queries else []
        order = sorted(range(len(queries)), key=lambda i: len(encodings[i].ids))
        answers: list[Answer] = [frozenset()] * len(queries)
        with torch.no_grad():
            for start in range(0, len(order), BATCH):
                part = order[start : start + BATCH]
                outputs = token_outputs(self.model, self.encoder, [encodings[i] for i in part])
                for i, tokens in zip(part, outputs, strict=True):
                    answers[i] = self.target.answer(tokens, encodings[i], queries[i])
        return answers

    def loss(self, examples: Sequence[Example]) -> float:
        """Return the mean loss of examples, such as some that it was not trained on; at least one."""
        with torch.no_grad():
            parts = [
                _losses(self.model, self.encoder, self.target, examples[start : start + BATCH])
                for start in range(0, len(examples), BATCH)
            ]
        return torch.cat(parts).mean().item()


def _losses(model: Tuned, encoder: Encoder, target: Target, rows: Sequence[Example]) -> Tensor:
    encodings = encoder.tokens([target.texts(row.query) for row in rows])
    outputs = token_outputs(model, encoder, encodings)
    return torch.stack([target.loss(*each) for each in zip(outputs, encodings, rows, strict=True)])
