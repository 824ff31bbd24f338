"""What a few-shot task is made of: labelled examples, and the queries that a learner answers."""

from __future__ import annotations

from dataclasses import dataclass

Answer = frozenset[str]
"""A set of strings: one label, the spans of a question, or the empty set for "nothing" and "unanswerable"."""


@dataclass(frozen=True)
class Query:
    """What a learner sees of an item that it is to answer: everything but the answer.

    Attributes:
        id: Its id in the file.
        context: The texts that it is about: one, or premise and hypothesis.
        question: The question, as the file has it.
        candidates: Answers to choose from where the item lists them, once per mention (entities of a cloze item),
            else empty.
    """

    id: str
    context: tuple[str, ...]
    question: str
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Example:
    """A labelled item.

    Attributes:
        query: What it asks.
        references: Alternative right answers, at least one; a prediction is scored against the best of them.
        genre: Where the text is from, if the file says so.
        listed: The answers as the file lists them, with repetitions and empty strings, which the strict score takes
            as one set; None where they did not come from such a file, and the first reference stands for them.

    Raises:
        ValueError: There is no reference.

    Example:
        >>> item = Example(Query("1", ("In Belgrade :",), "List all the locations"), (frozenset({"Belgrade"}),))
        >>> item.answer
        frozenset({'Belgrade'})
    """

    query: Query
    references: tuple[Answer, ...]
    genre: str = ""
    listed: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not self.references:
            raise ValueError(
                f"item {self.query.id!r} has no reference: give at least one, the empty set for 'no answer'."
            )

    @property
    def id(self) -> str:
        """Its id in the file."""
        return self.query.id

    @property
    def answer(self) -> Answer:
        """The first reference, which learners train on."""
        return self.references[0]
