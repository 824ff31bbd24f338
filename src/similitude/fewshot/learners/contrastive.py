"""Contrastive fine-tuning: texts of one label are drawn together, others apart, then a regression tells labels apart.

The idea is that of SetFit (Tunstall et al., 2022): pairs of examples are many where examples are few.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from similitude.core.errors import LearnerError
from similitude.core.seeding import numpy_generator
from similitude.fewshot.examples import Example, Query
from similitude.fewshot.learners.constant import require_examples
from similitude.fewshot.learners.encoder import Encoder, mean_pool
from similitude.fewshot.learners.label_probe import LabelPredictor, fit_labels, label_of, texts_of
from similitude.fewshot.learners.tuned import Recipe, tuned_states
from similitude.fewshot.tasks import Task

BATCH = 32
Pair = tuple[Query, Query, float]


@dataclass(frozen=True)
class Contrastive:
    """Fine-tune a copy of an encoder on pairs of examples, then fit a logistic regression on its embeddings.

    For tasks of labels alone. The cosine of two examples is drawn to 1 where their labels are equal and to 0 where not.
    Two texts of one item are read together, and so embedded as one. An epoch has `pairs` pairs, drawn anew for the fit
    with equal shares of both kinds.

    Attributes:
        encoder: An encoder that is a module; it stays as it is.
        recipe: How it is trained; its plan, if any, is one of the encoder's module alone.
        pairs: Pairs drawn per split.
    """

    encoder: Encoder
    recipe: Recipe = field(default_factory=lambda: Recipe(lr=2e-5, epochs=1))
    pairs: int = 320

    @property
    def name(self) -> str:
        """Its name in tables."""
        return f"contrastive({self.encoder.label}, pairs={self.pairs}, {self.recipe.label})"

    def fit(self, examples: Sequence[Example], task: Task, *, seed: int) -> LabelPredictor:
        """Train on a split.

        Raises:
            EvaluationError: The encoder is no module.
            LearnerError: The task has no labels, or the loss is not finite at some step.
        """
        require_examples(examples, task)
        if task.kind not in ("sentence", "pair"):
            raise LearnerError(
                f"{task.title}: contrastive learning needs one label per item, and its answers are of kind "
                f"{task.kind!r}. Use the learner 'probe' or 'fine-tune' there, or --tasks sst-2,mnli."
            )
        texts_of([example.query for example in examples])
        module = copy.deepcopy(self.encoder.module)
        pairs = draw_pairs(examples, task, count=self.pairs, seed=seed)

        def loss(module: nn.Module, rows: list[Pair]) -> Tensor:
            vectors = self._embed(module, [query for one, other, _ in rows for query in (one, other)])
            cosines = (vectors[::2] * vectors[1::2]).sum(-1)
            return F.mse_loss(cosines, torch.tensor([alike for *_, alike in rows], dtype=cosines.dtype))

        if pairs:
            self.recipe.run(module, pairs, loss, seed=seed)
        module.eval()

        def features(queries: Sequence[Query]) -> np.ndarray:
            with torch.no_grad():
                parts = [self._embed(module, queries[k : k + BATCH]) for k in range(0, len(queries), BATCH)]
            return torch.cat(parts).float().numpy()

        return fit_labels(features, examples, task)

    def _embed(self, module: nn.Module, queries: Sequence[Query]) -> Tensor:
        encodings = self.encoder.tokens([query.context for query in queries])
        mask = self.encoder.batch(encodings)[1]
        return F.normalize(mean_pool(tuned_states(module, self.encoder, encodings), mask), dim=-1)


def draw_pairs(examples: Sequence[Example], task: Task, *, count: int, seed: int) -> list[Pair]:
    """Draw pairs of different examples, as many of equal as of different labels where there are both kinds.

    Returns:
        Two queries and 1.0 where their labels are equal, else 0.0; empty where there is one example.
    """
    labels = [label_of(example, task) for example in examples]
    kinds: dict[float, list[tuple[int, int]]] = {1.0: [], 0.0: []}
    for i in range(len(labels)):
        for j in range(i + 1, len(labels)):
            kinds[float(labels[i] == labels[j])].append((i, j))
    kinds = {alike: places for alike, places in kinds.items() if places}
    generator = numpy_generator(seed, "pairs")
    found: list[Pair] = []
    for k, (alike, places) in enumerate(kinds.items()):
        share = count // len(kinds) + (k < count % len(kinds))
        for at in generator.integers(len(places), size=share):
            i, j = places[int(at)]
            found.append((examples[i].query, examples[j].query, alike))
    return found
