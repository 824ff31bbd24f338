"""Scores of people and of models on CLUES as its leaderboard prints them, and their aggregate computed again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from similitude.core.citation import cites
from similitude.core.errors import EvaluationError
from similitude.evaluation.anchors import Anchor
from similitude.fewshot.tasks import SHOTS, TASKS

SOURCE = "README.md of microsoft/CLUES, commit 995fd5e2e66289eafc87d01fbff052c87876eccb"
HUMAN = "Human"

# S1 times 100, mean±standard deviation over the five splits, at 10, 20 and 30 shots. FT: all weights trained, PT: trained
# with prompts, ICL: examples in the prompt. LiST trains on unlabelled text of the task as well.
_TABLE = """
sst-2
  Human             79.8      83        83.7
  GPT-3 175B ICL    85.9±3.7  92.0±0.7  91.0±1.6
  RoBERTa-Large PT  88.8±3.9  89.0±1.1  90.2±1.8
  DeBERTa-Large PT  83.4±5.3  87.8±3.5  88.4±3.3
  BERT-Large PT     63.2±11.3 78.2±9.9  82.7±4.1
  BERT-Base PT      63.9±10.0 76.7±6.6  79.4±5.6
  BERT-Large FT     46.3±5.5  55.5±3.4  55.4±2.5
  BERT-Base FT      46.2±5.6  54.0±2.8  53.6±5.5
  RoBERTa-Large FT  38.4±21.7 52.3±5.6  53.2±5.6
  T5-Large FT       51.2±1.8  53.4±3.2  52.3±2.9
  DeBERTa-Large FT  43.0±11.9 40.8±22.6 47.7±9.0
  LiST              -         -         91.3±0.7
mnli
  Human             78.1      78.6      69.4
  LiST              60.5±8.3  67.2±4.5  67.9±3.0
  DeBERTa-Large PT  44.5±8.2  60.7±5.3  62.9±3.1
  RoBERTa-Large PT  57.7±3.6  58.6±2.9  61.6±3.5
  BERT-Large PT     41.7±1.0  43.7±2.1  45.3±2.0
  BERT-Base PT      40.4±1.8  42.1±4.4  42.5±3.2
  T5-Large FT       39.8±3.3  37.9±4.3  36.8±3.8
  BERT-Base FT      37.0±5.2  35.2±2.7  35.4±3.2
  RoBERTa-Large FT  34.3±2.8  33.4±0.9  34.0±1.1
  BERT-Large FT     33.7±0.4  28.2±14.8 33.3±1.4
  GPT-3 175B ICL    33.5±0.7  33.1±0.3  33.2±0.2
  DeBERTa-Large FT  27.4±14.1 33.6±2.5  26.7±11.0
conll
  Human             87.7      89.7      87.4
  BERT-Base FT      51.3±0    51.3±0    51.3±0
  BERT-Large FT     51.3±0    51.3±0    51.3±0
  T5-Large FT       46.3±6.9  50.0±0.7  51.2±0.1
  DeBERTa-Large FT  50.1±1.2  47.8±2.5  48.2±2.9
  RoBERTa-Large FT  50.8±0.5  44.6±5.1  44.7±2.6
wikiann
  Human             81.4      83.5      82.6
  BERT-Base FT      62.8±0    62.8±0    62.8±0
  BERT-Large FT     62.8±0    62.6±0.4  62.5±0.6
  T5-Large FT       61.7±0.7  62.1±0.2  62.4±0.6
  DeBERTa-Large FT  58.5±3.3  57.9±5.8  58.3±6.2
  RoBERTa-Large FT  58.5±8.8  56.9±3.4  48.4±6.7
squad
  Human             71.9      76.4      73.5
  T5-Large FT       43.6±3.5  28.7±13.0 43.7±2.7
  RoBERTa-Large FT  38.1±7.2  40.1±6.4  43.5±4.4
  DeBERTa-Large FT  41.4±7.3  44.4±4.5  38.7±7.4
  BERT-Large FT     42.3±5.6  35.8±9.7  35.3±6.4
  BERT-Base FT      46.0±2.4  34.9±9.0  32.6±5.8
record
  Human             94.1      94.2      91.9
  DeBERTa-Large FT  15.7±5.0  16.8±5.7  21.1±3.6
  RoBERTa-Large FT  12.0±1.9  9.9±6.2   16.0±2.8
  BERT-Large FT     9.9±5.2   11.8±4.9  14.9±3.4
  BERT-Base FT      10.3±1.8  11.7±2.4  13.1±3.3
  T5-Large FT       11.9±2.7  11.7±1.5  12.0±3.8
"""


@dataclass(frozen=True)
class Aggregate:
    """The mean of the tasks' means, as the leaderboard computes it.

    Attributes:
        mean: The mean.
        deviation: Square root of the sum of the tasks' variances, as published; it belongs to the sum of the tasks, that
            of their mean is smaller by the number of tasks. None where a task has no deviation.
    """

    mean: float
    deviation: float | None

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + ("" if self.deviation is None else f" ± {self.deviation:.2f}")


@cites(18, "aggregate of the leaderboard")
def aggregate(means: Mapping[str, float], deviations: Mapping[str, float]) -> Aggregate:
    """Aggregate the six tasks.

    Args:
        means: Mean score by task, over splits.
        deviations: Population standard deviation by task, over splits; tasks may be missing.

    Raises:
        EvaluationError: A task of CLUES has no mean, or there are others.

    Example:
        >>> aggregate(dict.fromkeys(TASKS, 50.0), dict.fromkeys(TASKS, 2.0))
        Aggregate(mean=50.0, deviation=4.898979485566356)
    """
    missing, other = [t for t in TASKS if t not in means], [t for t in means if t not in TASKS]
    if missing or other:
        raise EvaluationError(
            f"an aggregate is over the six tasks of CLUES; missing: {', '.join(missing) or 'none'}, not of CLUES: "
            f"{', '.join(other) or 'none'}. Give a mean for each of {', '.join(TASKS)}."
        )
    known = all(task in deviations for task in TASKS)
    deviation = math.sqrt(sum(deviations[task] ** 2 for task in TASKS)) if known else None
    return Aggregate(sum(means[task] for task in TASKS) / len(TASKS), deviation)


def published() -> tuple[Anchor, ...]:
    """Return every published row as an anchor, one per model and number of shots, people first.

    Example:
        >>> human = published()[0]
        >>> human.name, human.kind, human.params["shots"], human.scores["mnli"]
        ('Human', 'human', 10, 78.1)
    """
    means: dict[tuple[str, int], dict[str, float]] = {}
    deviations: dict[tuple[str, int], dict[str, float]] = {}
    task = ""
    for line in _TABLE.strip().splitlines():
        if not line.startswith(" "):
            task = line
            continue
        *name, ten, twenty, thirty = line.split()
        for shots, cell in zip(SHOTS, (ten, twenty, thirty), strict=True):
            mean, _, deviation = cell.partition("±")
            if mean != "-":
                means.setdefault((" ".join(name), shots), {})[task] = float(mean)
            if deviation:
                deviations.setdefault((" ".join(name), shots), {})[task] = float(deviation)
    return tuple(
        Anchor(
            name=name,
            kind="human" if name == HUMAN else "published",
            scores=scores,
            deviations=deviations.get((name, shots), {}),
            params={"shots": shots},
            source=SOURCE,
        )
        for (name, shots), scores in means.items()
    )


def published_aggregate(model: str, shots: int = 30) -> Aggregate:
    """Compute the aggregate of a published model again from its rows.

    Args:
        model: Its name, e.g. "T5-Large FT".
        shots: 10, 20 or 30.

    Raises:
        EvaluationError: There is no such row, or a task of it was not published.

    Example:
        >>> print(published_aggregate("T5-Large FT"))
        43.07 ± 6.70
        >>> print(published_aggregate("Human"))
        81.42
    """
    rows = published()
    for row in rows:
        if row.name == model and row.params["shots"] == shots:
            return aggregate(row.scores, row.deviations)
    raise EvaluationError(
        f"there is no published row of {model!r} at {shots} shots. There are "
        f"{', '.join(dict.fromkeys(row.name for row in rows))}, at {', '.join(map(str, SHOTS))} shots."
    )
