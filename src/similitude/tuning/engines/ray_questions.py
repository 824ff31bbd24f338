"""What objectives in workers of Ray ask of their trial, carried to the process of the study and back by an actor."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from similitude.core.errors import TuningError
from similitude.runs.ray_cluster import import_ray
from similitude.tuning.engines.forwarded import ForwardedTrial

BEGUN = "begun"
"""What a task asks when its objective is imported and begins; its clock starts then."""

_WAITING = 1000  # questions that may wait for an answer at once: Ray's default of an actor


@dataclass(frozen=True)
class Question:
    """A call of a method of a trial, or a property of it, whose answer somebody waits for.

    Attributes:
        ticket: Tells it from all others.
        key: Of the task that asks.
        name: Of the method or property.
        args: Its arguments.
        kwargs: Its arguments by name.
    """

    ticket: str
    key: int
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Questions:
    """The questions of all trials of one engine, as the process of the study hears them.

    This process must be connected to Ray.

    Attributes:
        name: Of the actor, which workers find it by.
    """

    def __init__(self) -> None:
        ray = import_ray()
        self.name = f"similitude-{uuid.uuid4().hex}"
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        actor = ray.remote(num_cpus=0, max_concurrency=_WAITING, scheduling_strategy=here)(_Desk)
        self._desk = actor.options(name=self.name).remote()
        self._next = self._desk.taken.remote()

    def coming(self) -> Sequence[Any]:
        """Return what is ready, for `ray.wait`, once a question has come."""
        return [self._next]

    def asked(self) -> Iterator[Question]:
        """Give the questions that have come."""
        ray = import_ray()
        while ray.wait([self._next], timeout=0)[0]:
            questions = ray.get(self._next)
            self._next = self._desk.taken.remote()
            yield from questions

    def reply(self, question: Question, reply: tuple[bool, Any]) -> None:
        """Answer a question: whether it went well, and the answer, or the error in words."""
        self._desk.reply.remote(question.ticket, reply)

    def close(self) -> None:
        """End the actor."""
        import_ray().kill(self._desk)


class _Desk:
    """The actor: questions lie here until they are fetched, and whoever asked waits for the reply."""

    def __init__(self) -> None:
        self._questions: asyncio.Queue[Question] = asyncio.Queue()
        self._replies: dict[str, asyncio.Future[tuple[bool, Any]]] = {}

    async def ask(self, question: Question) -> tuple[bool, Any]:
        reply = asyncio.get_running_loop().create_future()
        self._replies[question.ticket] = reply
        self._questions.put_nowait(question)
        try:
            return await reply
        finally:
            del self._replies[question.ticket]

    async def taken(self) -> list[Question]:
        questions = [await self._questions.get()]
        while not self._questions.empty():
            questions.append(self._questions.get_nowait())
        return questions

    async def reply(self, ticket: str, reply: tuple[bool, Any]) -> None:
        waiting = self._replies.get(ticket)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)


class RayTrial(ForwardedTrial):
    """The trial of a study that the driver of Ray keeps, in a worker.

    Args:
        questions: Name of the actor that takes questions.
        key: Of the task.
        number: The trial's number.
    """

    def __init__(self, questions: str, key: int, number: int) -> None:
        self._desk = import_ray().get_actor(questions)
        self._key, self._number = key, number

    @property
    def number(self) -> int:
        """The trial's number in its study, from 0."""
        return self._number

    def begin(self) -> None:
        """Say that the objective begins."""
        self._ask(BEGUN)

    def _ask(self, name: str, *args: Any, **kwargs: Any) -> Any:
        question = Question(uuid.uuid4().hex, self._key, name, args, kwargs)
        good, reply = import_ray().get(self._desk.ask.remote(question))
        if not good:
            raise TuningError(reply)
        return reply
