"""A model under examination: what is done to it is done in a copy of the process, or to a copy of the model."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from similitude.core.errors import CurvatureError
from similitude.landscape.curvature import Curvature
from similitude.landscape.doctor_operations import Call, operations
from similitude.landscape.doctor_process import Ended, in_child
from similitude.landscape.doctor_records import Operation
from similitude.landscape.doctor_reference import Difference
from similitude.landscape.doctor_subject import Subject
from similitude.landscape.graphs import counted_bytes
from similitude.training.loop import Loss

_LONGEST = 240  # characters of an error's text that are kept
_GUESSES = (
    " because it has not been implemented yet",
)  # what PyTorch adds to many messages, for its own developers
_PASSES, _GRADIENTS = 8, 32  # that a look and a reference take at most
_OURS = "CurvatureError: "


@dataclass(frozen=True)
class Patient:
    """A model with its loss on one batch.

    Attributes:
        model: The user's own model.
        loss: `loss(model, batch) -> scalar`.
        batch: One batch.
        seed: Seeds directions, and what random layers draw.
        timeout: Seconds that a product may take.
        forks: Whether work is done in copies of this process.
    """

    model: nn.Module
    loss: Loss
    batch: Any
    seed: int
    timeout: float
    forks: bool

    def run(
        self,
        work: Callable[[Subject], Iterable[Any]],
        *,
        dtype: torch.dtype | None = None,
        products: int = 1,
    ) -> Ended:
        """Do something to a copy of the model.

        Args:
            work: Takes the subject and gives results one by one.
            dtype: What the model is cast to.
            products: How many times the time of a product each result may take.

        Returns:
            What it gave, and how it ended.
        """
        if self.forks:
            return in_child(lambda: work(self._subject(self.model, dtype)), timeout=self.timeout * products)
        items: list[Any] = []
        try:
            for item in work(self._subject(copy.deepcopy(self.model), dtype)):
                items.append(item)
        except Exception as error:
            return Ended(tuple(items), f"{type(error).__name__}: {error}")
        return Ended(tuple(items))

    def _subject(self, model: nn.Module, dtype: torch.dtype | None) -> Subject:
        return Subject(model, self.loss, self.batch, dtype=dtype, seed=self.seed)


@dataclass(frozen=True)
class Looks:
    """What is seen of a model before any product is taken; the fields are those of `Doctor`.

    Attributes:
        operations: Of the forward pass as it is.
        fused: Whether attention on the math backend has other operations.
        buffers: That a pass updates.
        random: Whether the loss depends on the seed.
        dim: Trainable entries.
        dtype: Of the first parameter.
        graph_bytes: Of the kept graph; None where it cannot be built.
    """

    operations: tuple[Operation, ...]
    fused: bool
    buffers: tuple[str, ...]
    random: bool
    dim: int
    dtype: str
    graph_bytes: int | None


@dataclass(frozen=True)
class Base:
    """Where products are compared: the difference, and the loss and gradient at the point."""

    difference: Difference
    loss: float
    gradient: Tensor


def look(patient: Patient) -> Looks:
    """List a model's operations and what a pass does.

    Raises:
        CurvatureError: The loss cannot be evaluated, is no finite scalar, or has no gradient.
    """
    ended = patient.run(_look, products=_PASSES)
    if ended.error:
        if ended.error.startswith(_OURS):
            raise CurvatureError(ended.error.removeprefix(_OURS))
        raise CurvatureError(
            f"loss(model, batch) failed on the batch with {short(ended.error)}. A batch is passed on as it is, and a "
            "list is several: check that the loss takes it apart as you mean it."
        )
    return ended.items[0]


def reference_of(patient: Patient, dtype: torch.dtype, *, random: bool) -> Base | str:
    """Return finite differences in a dtype, or why there are none.

    Args:
        patient: The model.
        dtype: What it is cast to.
        random: Whether the loss draws random numbers.
    """

    def work(subject: Subject) -> Iterator[Base]:
        with torch.no_grad():
            value, pinned = (float(subject.value(pin=pin).detach()) for pin in (False, True))
        # Fused attention may draw other random numbers than its plain form; else the user's own pass is what counts.
        pin = random and value != pinned
        gradient = subject.gradient(0.0, subject.direction(0), pin=pin)
        yield Base(subject.difference(pin=pin), pinned if pin else value, gradient)

    ended = patient.run(work, dtype=dtype, products=_GRADIENTS)
    return ended.items[0] if not ended.error else short(ended.error)


def short(error: str) -> str:
    """Return the first sentence of an error's text on one line, within bounds."""
    text = re.split(r"(?<=[a-z)])\. (?=[A-Z])", " ".join(error.split()).removeprefix(_OURS), maxsplit=1)[0]
    for guess in _GUESSES:
        text = text.partition(guess)[0]
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def calls_of(subject: Subject, *, pin: bool) -> dict[str, Call]:
    """List the operations of a pass with their arguments; what is compiled is run eagerly for it."""
    with torch.compiler.set_stance("force_eager"):
        return operations(subject.model, lambda: subject.value(pin=pin))


def _look(subject: Subject) -> Iterator[Looks]:
    graph_bytes = _graph_bytes(subject)
    updated = _updated_buffers(subject)
    plain, math = (calls_of(subject, pin=pin) for pin in (False, True))
    yield Looks(
        operations=tuple(
            Operation(c.name, c.count, tuple(c.modules), bool(c.varied), c.custom, c.once)
            for c in plain.values()
        ),
        fused=plain.keys() != math.keys(),
        buffers=updated,
        random=_draws(subject),
        dim=subject.space.dim,
        dtype=str(subject.point[0].dtype).removeprefix("torch."),
        graph_bytes=graph_bytes,
    )


def _graph_bytes(subject: Subject) -> int | None:
    """Build the graph that our own route keeps, and count it.

    Raises:
        CurvatureError: The loss is not one that has a curvature.
    """
    count: list[int] = []
    try:
        with counted_bytes(subject.space, count):
            Curvature(subject.model, subject.loss, subject.batch, seed=subject.seed)
    except CurvatureError as error:
        if error.__cause__ is None and once_differentiable.__name__ not in str(error):
            raise
        return None  # an operation cannot be differentiated twice, which is what the examination is for
    return count[0]


def _updated_buffers(subject: Subject) -> tuple[str, ...]:
    before = {name: b.detach().clone() for name, b in subject.model.named_buffers()}
    with torch.no_grad():
        subject.loss(subject.model, subject.batch)
    now = dict(subject.model.named_buffers())
    changed = tuple(name for name, b in before.items() if name in now and not torch.equal(b, now[name]))
    with torch.no_grad():
        for name in changed:
            now[name].copy_(before[name])
    return changed


def _draws(subject: Subject) -> bool:
    """Tell whether another seed gives another loss."""
    again = Subject(subject.model, subject.loss, subject.batch, dtype=None, seed=subject.seed + 1)
    with torch.no_grad():
        return float(subject.value(pin=True).detach()) != float(again.value(pin=True).detach())
