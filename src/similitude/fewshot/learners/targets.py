"""What is read off an encoder's tokens when it is fine-tuned: labels, sets of spans, one span or none, candidates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from similitude.fewshot.examples import Answer, Example, Query
from similitude.fewshot.learners.cloze_probe import statement
from similitude.fewshot.learners.label_probe import label_of, texts_of
from similitude.fewshot.learners.span_probe import PUNCTUATION
from similitude.fewshot.learners.span_set_probe import cut, spans_in
from similitude.fewshot.learners.words import pool_words, token_words, word_ranges
from similitude.fewshot.tasks import Task

if TYPE_CHECKING:
    from tokenizers import Encoding

OUTSIDE, BEGIN, INSIDE = 0, 1, 2
"""Tags of words: in no span, first of a span, later in a span."""

LONGEST = 12
"""Most words of a single span."""


class Target(Protocol):
    """What one row's tokens are read for.

    Attributes:
        outputs: Numbers that the readout gives per token.
    """

    @property
    def outputs(self) -> int:
        """Numbers that the readout gives per token."""
        ...

    def texts(self, query: Query) -> tuple[str, ...]:
        """Return the texts that the encoder reads of a query: one or two."""
        ...

    def loss(self, tokens: Tensor, encoding: Encoding, example: Example) -> Tensor:
        """Return the loss of one example, a scalar; `tokens` has shape (length, outputs)."""
        ...

    def answer(self, tokens: Tensor, encoding: Encoding, query: Query) -> Answer:
        """Return the answer to one query; `tokens` has shape (length, outputs)."""
        ...


def target_of(task: Task, examples: Sequence[Example]) -> Target:
    """Return what to read for the kind of answers that a task has."""
    if task.kind in ("sentence", "pair"):
        texts_of([example.query for example in examples])
        return LabelTarget(tuple(sorted({label_of(example, task) for example in examples})))
    return {"spans": SpanSetTarget(), "span": SpanTarget(), "cloze": ClozeTarget()}[task.kind]


@dataclass(frozen=True)
class LabelTarget:
    """One label, by the softmax of the mean over all tokens.

    Attributes:
        labels: The labels of the examples.
    """

    labels: tuple[str, ...]

    @property
    def outputs(self) -> int:
        """One per label."""
        return len(self.labels)

    def texts(self, query: Query) -> tuple[str, ...]:
        """Return the one text, or both together."""
        return query.context

    def loss(self, tokens: Tensor, encoding: Encoding, example: Example) -> Tensor:
        """Return the cross-entropy of the label."""
        wanted = torch.tensor(self.labels.index(next(iter(example.answer))))
        return F.cross_entropy(_mean(tokens, encoding), wanted)

    def answer(self, tokens: Tensor, encoding: Encoding, query: Query) -> Answer:
        """Return the likeliest label."""
        return frozenset({self.labels[int(_mean(tokens, encoding).argmax())]})


class _QuestionAndText:
    """What reads the question before the text, so that one readout serves every question."""

    def texts(self, query: Query) -> tuple[str, ...]:
        """Return the question and the text."""
        return query.question, query.context[0]


@dataclass(frozen=True)
class SpanSetTarget(_QuestionAndText):
    """A set of spans: every word of the text is first, later or no part of one."""

    outputs: int = 3

    def loss(self, tokens: Tensor, encoding: Encoding, example: Example) -> Tensor:
        """Return the mean cross-entropy of the words' tags; zero for a text without words."""
        words, read = _words(tokens, encoding, example.query.context[0])
        tags = torch.full((len(words),), OUTSIDE)
        for first, last in spans_in(example.query.context[0], example.answer):
            tags[first : last + 1] = INSIDE
            tags[first] = BEGIN
        return F.cross_entropy(words[read], tags[read]) if read.any() else tokens.sum() * 0

    def answer(self, tokens: Tensor, encoding: Encoding, query: Query) -> Answer:
        """Return the spans of the likeliest tags; a span may begin with a later word."""
        words, read = _words(tokens, encoding, query.context[0])
        spans: list[tuple[int, int]] = []
        before = OUTSIDE
        for k, tag in enumerate(words.argmax(-1).tolist()):
            tag = tag if read[k] else OUTSIDE
            if tag == BEGIN or (tag == INSIDE and before == OUTSIDE):
                spans.append((k, k))
            elif tag == INSIDE:
                spans[-1] = (spans[-1][0], k)
            before = tag
        ranges = word_ranges(query.context[0])
        return frozenset(cut(query.context[0], ranges, span) for span in spans)


@dataclass(frozen=True)
class SpanTarget(_QuestionAndText):
    """One span by its first and last word, or nothing, which competes with the mean over all tokens."""

    outputs: int = 2

    def loss(self, tokens: Tensor, encoding: Encoding, example: Example) -> Tensor:
        """Return the sum of the cross-entropies of both ends; an answer beyond the text that is read counts as none."""
        scores = self._scores(tokens, encoding, example.query)
        place = self._place(example)
        nothing = len(scores) - 1
        if place is None or not scores[list(place)].isfinite().all():
            place = (nothing, nothing)
        return F.cross_entropy(scores.T, torch.tensor(place), reduction="sum")

    def answer(self, tokens: Tensor, encoding: Encoding, query: Query) -> Answer:
        """Return the span of the largest sum of both scores, without punctuation around it, or nothing."""
        scores = self._scores(tokens, encoding, query)
        count = len(scores) - 1
        sums = scores[:count, None, 0] + scores[None, :count, 1]
        allowed = torch.ones(count, count).triu().tril(LONGEST - 1).bool()
        sums = sums.masked_fill(~allowed, -torch.inf)
        if not count or not sums.max() > scores[-1].sum():
            return frozenset()
        first, last = divmod(int(sums.argmax()), count)
        text = cut(query.context[0], word_ranges(query.context[0]), (first, last)).strip(PUNCTUATION + " ")
        return frozenset({text}) if text else frozenset()

    def _scores(self, tokens: Tensor, encoding: Encoding, query: Query) -> Tensor:
        """Scores of each word as first and as last, and of nothing in the end: shape (words + 1, 2)."""
        words, read = _words(tokens, encoding, query.context[0])
        return torch.cat([words.masked_fill(~read[:, None], -torch.inf), _mean(tokens, encoding)[None]])

    @staticmethod
    def _place(example: Example) -> tuple[int, int] | None:
        text = example.query.context[0]
        answer = next(iter(example.answer), "")
        start = text.find(answer) if answer else -1
        inside = [
            k
            for k, (first, last) in enumerate(word_ranges(text))
            if start >= 0 and first < start + len(answer) and last > start
        ]
        return (inside[0], inside[-1]) if inside else None


@dataclass(frozen=True)
class ClozeTarget:
    """One of the candidates, by the softmax over them of the mean over the tokens that name each in the passage."""

    outputs: int = 1

    def texts(self, query: Query) -> tuple[str, ...]:
        """Return the statement with its gap, and the passage."""
        return statement(query), query.context[0]

    def loss(self, tokens: Tensor, encoding: Encoding, example: Example) -> Tensor:
        """Return minus the logarithm of the probability of right candidates; zero where none of them is read."""
        names, scores = self._scores(tokens, encoding, example.query)
        right = torch.tensor([name in frozenset().union(*example.references) for name in names])
        if not scores[right].isfinite().any():
            return tokens.sum() * 0
        return scores.logsumexp(0) - scores[right].logsumexp(0)

    def answer(self, tokens: Tensor, encoding: Encoding, query: Query) -> Answer:
        """Return the likeliest candidate; the first where the text that is read names none."""
        names, scores = self._scores(tokens, encoding, query)
        return frozenset({names[int(scores.argmax())]}) if names else frozenset()

    @staticmethod
    def _scores(tokens: Tensor, encoding: Encoding, query: Query) -> tuple[list[str], Tensor]:
        names = list(dict.fromkeys(query.candidates))
        spans = list(zip(encoding.offsets, encoding.sequence_ids, strict=True))
        scores = []
        for name in names:
            places = [match.span() for match in re.finditer(re.escape(name), query.context[0])]
            at = [
                k
                for k, ((start, end), row) in enumerate(spans)
                if row == 1 and any(start < last and end > first for first, last in places)
            ]
            scores.append(tokens[at, 0].mean() if at else tokens.new_tensor(-torch.inf))
        return names, torch.stack(scores) if scores else tokens.new_zeros(0)


def _mean(tokens: Tensor, encoding: Encoding) -> Tensor:
    return tokens[: max(1, len(encoding.ids))].mean(0)


def _words(tokens: Tensor, encoding: Encoding, text: str) -> tuple[Tensor, Tensor]:
    """Means over the words' tokens, and which words have tokens; words beyond the length that is read have none."""
    ranges = word_ranges(text)
    of = token_words(encoding, ranges, sequence=1)
    read = torch.zeros(len(ranges), dtype=torch.bool)
    read[[k for k in of if k >= 0]] = True
    return pool_words(tokens, of, len(ranges)), read
