"""The score S1 of an answer that is a set of texts: as CLUES computes it (strict), and as it is meant (fair)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from similitude.core.citation import cites
from similitude.core.errors import DataError
from similitude.fewshot.examples import Answer, Example


@cites(18, "metric S1")
def set_f1(prediction: Collection[str], reference: Collection[str]) -> float:
    """Return the F1 score of two sets: 1 where both are empty, 0 where one is, else 2 |A and B| / (|A| + |B|).

    Example:
        >>> set_f1({"a", "b"}, {"b", "c", "d"})
        0.4
        >>> set_f1([], []), set_f1([], ["a"])
        (1.0, 0.0)
    """
    ours, theirs = set(prediction), set(reference)
    if not ours and not theirs:
        return 1.0
    if not ours or not theirs:
        return 0.0
    return 2 * len(ours & theirs) / (len(ours) + len(theirs))


def strict_score(prediction: Answer, example: Example) -> float:
    """Score as the repository's S1.py does: the listed answers are one set, in which "" is an answer like another.

    So a prediction of nothing scores 0 where the file lists `[""]` (CoNLL, WikiANN), and no single answer scores 1
    where it lists two different ones (SQuAD).

    Args:
        prediction: What a learner answers.
        example: The item.

    Returns:
        A score from 0 to 1.

    Example:
        >>> from similitude.fewshot.examples import Query
        >>> nothing = Example(Query("1", ("In Belgrade :",), "List all the people"), (frozenset(),), listed=("",))
        >>> strict_score(frozenset(), nothing), fair_score(frozenset(), nothing)
        (0.0, 1.0)

    Source:
        microsoft/CLUES, eval/S1.py.
    """
    return set_f1(prediction, example.answer if example.listed is None else example.listed)


def fair_score(prediction: Answer, example: Example) -> float:
    """Score as the metric is meant: empty texts are no answers, and alternatives are not a set to be found.

    Texts are compared exactly, as in the strict score; only these two things differ.

    Args:
        prediction: What a learner answers.
        example: The item.

    Returns:
        The best S1 over the references, from 0 to 1.

    Example:
        >>> from similitude.fewshot.examples import Query
        >>> both = (frozenset({"the Rhine"}), frozenset({"Rhine"}))
        >>> river = Example(Query("1", ("It is the Rhine.",), "What?"), both, listed=("the Rhine", "Rhine"))
        >>> fair_score(frozenset({"Rhine"}), river), round(strict_score(frozenset({"Rhine"}), river), 2)
        (1.0, 0.67)
    """
    texts = {text for text in prediction if text}
    return max(set_f1(texts, [t for t in reference if t]) for reference in example.references)


@dataclass(frozen=True)
class Scores:
    """The scores of one split's answers, item by item.

    Attributes:
        task: Name of the task.
        shots: Shots that were trained on.
        split: Number of the split.
        strict: Strict score of each item, from 0 to 1.
        fair: Fair score of each item.
        texts: For each item, the number of its text: questions on one text are not independent of one another.
    """

    task: str
    shots: int
    split: int
    strict: tuple[float, ...]
    fair: tuple[float, ...]
    texts: tuple[int, ...]

    def to_row(self) -> dict[str, str | int | float]:
        """Return the row of reports: task, shots, split, and both means times 100."""
        return {
            "task": self.task,
            "shots": self.shots,
            "split": self.split,
            "strict": 100 * sum(self.strict) / len(self.strict),
            "fair": 100 * sum(self.fair) / len(self.fair),
        }


def score(
    answers: Sequence[Answer], examples: Sequence[Example], *, task: str, shots: int, split: int
) -> Scores:
    """Score a learner's answers to the test of a task.

    Args:
        answers: One per example, in order.
        examples: The items with their references.
        task: Name of the task.
        shots: Shots that were trained on.
        split: Number of the split.

    Raises:
        DataError: There are no examples, or not as many answers.
    """
    if not examples or len(answers) != len(examples):
        raise DataError(
            f"{task}, {shots} shots, split {split}: {len(answers)} answers to {len(examples)} items. Give one answer "
            "per item, in order."
        )
    numbers: dict[tuple[str, ...], int] = {}
    pairs = list(zip(answers, examples, strict=True))
    return Scores(
        task=task,
        shots=shots,
        split=split,
        strict=tuple(strict_score(*pair) for pair in pairs),
        fair=tuple(fair_score(*pair) for pair in pairs),
        texts=tuple(numbers.setdefault(example.query.context, len(numbers)) for example in examples),
    )
