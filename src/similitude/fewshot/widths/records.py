"""What a width study found: pretraining, the best rates and their shift, scores by width and by richness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from similitude.core.plain import finite
from similitude.evaluation.aggregate import Estimate, mean_of
from similitude.evaluation.rows import Row
from similitude.fewshot.widths.settings import WidthSettings
from similitude.studies.records import TransferStudy

TRANSFERRED = "encoder at the transferred rate"
BEST = "encoder at its own best rate"


@dataclass(frozen=True)
class Quality:
    """The fair score of one subject on one task.

    Attributes:
        task: Name of the task.
        shots: Shots of the splits.
        subject: What was evaluated, e.g. `TRANSFERRED`.
        rule: Parametrization.
        width: Width.
        gamma: Richness.
        lr: Learning rate, as of the base.
        fair: Mean over splits with its t-interval.
        above_constant: Mean difference to the constant answer of the same splits, likewise.
    """

    task: str
    shots: int
    subject: str
    rule: str
    width: int
    gamma: float
    lr: float
    fair: Estimate
    above_constant: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "task": self.task,
            "shots": self.shots,
            "subject": self.subject,
            "rule": self.rule,
            "width": self.width,
            "gamma": self.gamma,
            "lr": self.lr,
            "fair": self.fair.to_dict(),
            "above_constant": self.above_constant.to_dict(),
        }


@dataclass(frozen=True)
class Gain:
    """By how much one subject scores higher than another on the same splits.

    Attributes:
        task: Name of the task.
        question: What it answers: "width", from the smallest to the largest at the transferred rate, or "gamma", beside
            gamma 1.
        where: The rule, and for gamma the width and the richness.
        fair: Mean difference of the fair scores with its t-interval over splits.
    """

    task: str
    question: str
    where: str
    fair: Estimate

    def __str__(self) -> str:
        return f"{self.task}, {self.where}: {self.fair.value:+.1f}{ends_of(self.fair)}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "task": self.task,
            "question": self.question,
            "where": self.where,
            "fair": self.fair.to_dict(),
        }


def ends_of(estimate: Estimate) -> str:
    """Return an interval as text that follows its value; empty where there is none."""
    ends = estimate.interval
    return "" if ends is None else f" [{ends[0]:.1f}, {ends[1]:.1f}]"


@dataclass(frozen=True)
class Corpus:
    """What encoders were pretrained on.

    Attributes:
        name: Name of the text.
        source: Where it was read.
        tokens: Tokens of it, without the hold-out.
        vocabulary: Different tokens.
        read: Tokens that one encoder read, with repetitions.
    """

    name: str
    source: str
    tokens: int
    vocabulary: int
    read: int


@dataclass(frozen=True)
class WidthStudy:
    """A width study.

    Attributes:
        settings: What was run.
        corpus: What encoders were pretrained on.
        pretraining: A row per run of pretraining; its score is minus the held-out loss in nats.
        pretraining_lr: The best rate of pretraining at the smallest width.
        transfers: By task, the held-out losses over learning rates, and whether the best rate transfers, by rule.
        rows: Scores on the tests, in the schema of suites.
        constants: Rows of the constant answer.
        found: Runs that were there already.
        ran: Runs that were made.
        seconds: What this call took.
    """

    settings: WidthSettings
    corpus: Corpus
    pretraining: tuple[Row, ...]
    pretraining_lr: float
    transfers: Mapping[str, TransferStudy]
    rows: tuple[Row, ...]
    constants: tuple[Row, ...]
    found: int
    ran: int
    seconds: float

    @property
    def qualities(self) -> tuple[Quality, ...]:
        """Scores by task, subject, rule and width, splits together; failed splits are left out."""
        return qualities(self.rows, self.constants)

    @property
    def failures(self) -> tuple[Row, ...]:
        """Test rows without a score."""
        return tuple(row for row in self.rows if row.failed)

    @property
    def gains(self) -> tuple[Gain, ...]:
        """What width gives at the transferred rate by rule, and what richness gives at each width where it was tried."""
        settings, found = self.settings, []
        last = settings.widths[-1]
        for task in settings.tasks:
            small = self._splits(task, TRANSFERRED, *settings.of("", settings.base))
            for rule in settings.rules:
                found += _gain(task, "width", rule, self._splits(task, TRANSFERRED, rule, last), small)
            for width in (settings.base, last):
                place = settings.of(settings.rules[0], width)
                plain = self._splits(task, richness(1.0), *place)
                for gamma in settings.gammas:
                    if gamma != 1.0:
                        where = f"{settings.rules[0]}, width {width}, gamma {gamma:g}"
                        found += _gain(
                            task, "gamma", where, self._splits(task, richness(gamma), *place), plain
                        )
        return tuple(found)

    def _splits(self, task: str, subject: str, rule: str, width: int) -> dict[str, float]:
        """Scores of one subject by item."""
        key = (task, subject, rule, width)
        return {
            row.item: row.score
            for row in self.rows
            if not row.failed and (row.task, row.subject, row.rule, row.width) == key
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return finite(
            {
                "settings": asdict(self.settings),
                "corpus": asdict(self.corpus),
                "pretraining": [
                    {
                        "rule": row.rule,
                        "width": row.width,
                        "lr": row.params["lr"],
                        "loss": -row.score,
                        "parameters": int(row.metrics["parameters"]),
                    }
                    for row in self.pretraining
                ],
                "pretraining_lr": self.pretraining_lr,
                "tasks": {
                    task: {rule: one.to_dict() for rule, one in study.transfers.items()}
                    for task, study in self.transfers.items()
                },
                "qualities": [q.to_dict() for q in self.qualities],
                "gains": [gain.to_dict() for gain in self.gains],
                "rows": [row.to_dict() for row in (*self.rows, *self.constants)],
                "found": self.found,
                "ran": self.ran,
                "seconds": self.seconds,
            }
        )


def richness(gamma: float) -> str:
    """Return the name in tables of encoders that are fine-tuned at a richness."""
    return f"encoder, gamma {gamma:g}"


def _gain(
    task: str, question: str, where: str, first: Mapping[str, float], second: Mapping[str, float]
) -> list[Gain]:
    """The mean difference over the splits that both have; none where they share none."""
    changes = [score - second[item] for item, score in first.items() if item in second]
    return [Gain(task, question, where, mean_of(changes))] if changes else []


def qualities(rows: Iterable[Row], constants: Iterable[Row]) -> tuple[Quality, ...]:
    """Join splits: the mean fair score of each subject, and how far it is above the constant of the same splits.

    Args:
        rows: Rows of encoders, with `gamma` and `lr` among their metrics; failed ones are left out.
        constants: Rows of the constant on the same items.
    """
    floor = {row.item: row.score for row in constants}
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if not row.failed:
            key = (row.task, row.params["shots"], row.subject, row.rule, row.width, row.metrics["gamma"])
            groups.setdefault(key, []).append(row)
    return tuple(
        Quality(
            *key,
            lr=group[0].metrics["lr"],
            fair=mean_of([row.score for row in group]),
            above_constant=mean_of([row.score - floor[row.item] for row in group]),
        )
        for key, group in groups.items()
    )
