"""The frozen probe: logistic regression on what an encoder that is not trained makes of the texts (paper 18)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from similitude.fewshot.examples import Example
from similitude.fewshot.learners.cloze_probe import fit_cloze
from similitude.fewshot.learners.constant import require_examples
from similitude.fewshot.learners.embeddings import Embeddings
from similitude.fewshot.learners.label_probe import fit_labels, label_features
from similitude.fewshot.learners.learner import Predictor
from similitude.fewshot.learners.span_probe import fit_span
from similitude.fewshot.learners.span_set_probe import fit_span_sets
from similitude.fewshot.tasks import Task


@dataclass(frozen=True)
class FrozenProbe:
    """Train nothing but a logistic regression on embeddings of a frozen encoder.

    Labels are told from the mean state of a text, or of two and how they differ; sets of spans by classifying every
    word; single spans by scoring words against the question; cloze items by comparing each candidate's statement with
    the passage. Nothing is tuned on queries: constants are fixed, and the penalty of label probes and the score from
    which on a span is given are chosen by cross-validation within the examples. There is no randomness.

    Attributes:
        embeddings: What the encoder makes of texts, kept from split to split.
    """

    embeddings: Embeddings

    @property
    def name(self) -> str:
        """Its name in tables."""
        return f"probe({self.embeddings.encoder.label})"

    def fit(self, examples: Sequence[Example], task: Task, *, seed: int) -> Predictor:
        """Fit the probe of the task's kind of answers."""
        require_examples(examples, task)
        match task.kind:
            case "sentence" | "pair":
                return fit_labels(lambda queries: label_features(self.embeddings, queries), examples, task)
            case "spans":
                return fit_span_sets(self.embeddings, examples)
            case "span":
                return fit_span(self.embeddings, examples)
            case "cloze":
                return fit_cloze(self.embeddings, examples)
