"""The guard of the protocol: a learner is given one split and queries without answers, and is refused if it peeks."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from similitude.core.citation import cites
from similitude.core.errors import EvaluationError
from similitude.fewshot.examples import Answer, Example, Query
from similitude.fewshot.forbidden import Forbidden, refusing
from similitude.fewshot.learners.learner import Learner
from similitude.fewshot.reading import Clues, clues_task
from similitude.fewshot.tasks import Task
from similitude.runs.engine import Engine

T = TypeVar("T")


@dataclass(frozen=True)
class Guarded:
    """All that a learner is given of the data: nothing in it leads to a test's answers or to another split.

    Attributes:
        task: The task.
        shots: Shots of the split.
        split: Number of the split.
        examples: The labelled examples of that split.
        queries: The items of the test without their answers.
        forbidden: The files that must not be read meanwhile; it is not handed to the learner.
    """

    task: Task
    shots: int
    split: int
    examples: tuple[Example, ...]
    queries: tuple[Query, ...]
    forbidden: Forbidden

    def __str__(self) -> str:
        return f"{self.task.name}, {self.shots} shots, split {self.split}"


def guarded(clues: Clues, task: str, shots: int, split: int) -> Guarded:
    """Cut out of the data what a learner may see of one split.

    Everything is copied, so that not even a search through the objects that refer to a query finds its answer.

    Args:
        clues: The data.
        task: Name of the task.
        shots: 10, 20 or 30.
        split: 1 to 5.

    Raises:
        DataError: There is no such task, number of shots or split.
    """
    queries = tuple(example.query for example in clues.test(task))
    return Guarded(
        task=clues_task(task),
        shots=shots,
        split=split,
        examples=_copied(clues.train(task, shots, split)),
        queries=_copied(queries),
        forbidden=clues.forbidden,
    )


@cites(18, "rules of submission")
def guarded_answers(
    learner: Learner, data: Guarded, *, seed: int, engine: Engine | None = None
) -> tuple[Answer, ...]:
    """Fit a learner to a split and return its answers to the test, or refuse it.

    Refused are learners that open a file with the contents of one of the data's (wherever it is), start a command that
    names one of them, a folder of theirs or a pattern, return another number of answers than there are queries, or
    answers that are not sets of texts; also where they caught the error themselves.

    What this cannot see: code outside of Python that opens files by itself (libraries written in C or Rust), other
    programs that find the files without being told where they are, copies of the data that were changed or packed
    anew, what a learner read before it was given here, and, in this process, searches through memory or the stack of
    calls. The last needs `engine=ProcessPool(1)`, whose process has the examples
    and queries in memory and nothing else of the data. The rest is a matter of trust, as are all learners whose code
    nobody read.

    Args:
        learner: The learner.
        data: What it may see.
        seed: Seed of its randomness.
        engine: Where to run it; None for here. In other processes the learner has to be picklable.

    Raises:
        EvaluationError: The learner is refused; the text says why.
        JobsFailedError: It failed in the engine's process; without an engine its own error is raised.
    """
    job = partial(_outcome, learner, seed=seed)
    found: list[tuple[object, str]] = []
    if engine is None:
        found.append(job(data))
    else:
        engine.map(job, [data], on_done=lambda _, outcome: found.append(outcome), name=str)
    ((answers, refused),) = found
    who = f"{learner.name} on {data}"
    if refused:
        raise EvaluationError(
            f"{who}: refused, because it {refused}, which is the data that it is tested on. A learner is given all that "
            "it may see: the examples of one split, and queries."
        )
    return checked_answers(answers, len(data.queries), who=who)


def checked_answers(answers: object, count: int, *, who: str) -> tuple[Answer, ...]:
    """Return answers as sets of texts.

    Args:
        answers: What a learner returned.
        count: How many queries it was given.
        who: The learner and its task, for the message.

    Raises:
        EvaluationError: They are no sequence, not as many as the queries, or not all sets of texts.

    Example:
        >>> checked_answers([{"a"}, []], 2, who="mine on mnli")
        (frozenset({'a'}), frozenset())
    """
    if not isinstance(answers, Sequence) or isinstance(answers, str | bytes):
        raise EvaluationError(
            f"{who}: predict returned {type(answers).__name__}, but a list with one set of texts per query is expected."
        )
    if len(answers) != count:
        raise EvaluationError(
            f"{who}: predict returned {len(answers)} answers to {count} queries. Return one per query, in order, the "
            "empty set where there is none."
        )
    for place, answer in enumerate(answers, 1):
        texts = isinstance(answer, Collection) and not isinstance(answer, str | bytes)
        if not texts or not all(isinstance(text, str) for text in answer):
            raise EvaluationError(
                f"{who}: answer {place} is {str(answer)[:60]!r} of type {type(answer).__name__}, but a set of texts is "
                "expected, such as {'positive'}."
            )
    return tuple(frozenset(map(str.__str__, answer)) for answer in answers)


def _outcome(learner: Learner, data: Guarded, *, seed: int) -> tuple[object, str]:
    """Return what a learner answered, and what was refused to it."""
    answers: object = None
    with refusing(data.forbidden) as refused:
        try:
            answers = _looked_at(learner.fit(data.examples, data.task, seed=seed).predict(data.queries))
        except Exception:
            if not refused:
                raise
    return (None, refused[0]) if refused else (answers, "")


def _looked_at(answers: object) -> object:
    """Go through answers while the watch is on: a sequence may read only when its items are asked for.

    Texts become plain ones: those of a class of the learner's could run its code when they are scored.
    """
    if not isinstance(answers, Sequence) or isinstance(answers, str | bytes):
        return answers
    return [
        [str.__str__(text) if isinstance(text, str) else text for text in one]
        if isinstance(one, Collection) and not isinstance(one, str | bytes)
        else one
        for one in answers
    ]


def _copied(value: T) -> T:
    return pickle.loads(pickle.dumps(value))
