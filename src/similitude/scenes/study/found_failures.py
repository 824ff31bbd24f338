"""The different ways to fail that a search has found, as commands and pages say them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from similitude.evaluation.rows import Row
from similitude.scenes.study.records import PLACE, SceneRun

SHOWN = 12
"""Ways to fail that are listed of a model, the worst first; all are counted."""


@dataclass(frozen=True)
class WaysToFail:
    """Wrong scenes of a model, those that are alike taken together (`scenes.search.distinct.distinct_failures`).

    Attributes:
        model: The model.
        found: The worst scene of each, and how many wrong ones it stands for, the worst first.
    """

    model: str
    found: tuple[tuple[Row, int], ...]

    @property
    def wrong(self) -> int:
        """How many scenes are wrong."""
        return sum(count for _, count in self.found)

    @property
    def text(self) -> str:
        """What was found, in a sentence.

        Example:
            >>> WaysToFail("m", ((Row("scenes", "mug", "m", 0.0), 3),)).text
            'The search found 3 wrong scenes: 1 way to fail, counting those that are alike as one.'
        """
        several, ways = (len(found) != 1 for found in (range(self.wrong), self.found))
        return (
            f"The search found {self.wrong} wrong scene{'s' * several}: {len(self.found)} way{'s' * ways} to fail, "
            "counting those that are alike as one."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; `SHOWN` of them at most."""
        return {
            "wrong": self.wrong,
            "ways": len(self.found),
            "worst": [
                {
                    "object": row.task,
                    "environment": row.params.get("environment"),
                    "settings": {name: value for name, value in row.params.items() if name not in PLACE},
                    "loss": row.metrics.get("loss"),
                    "stands_for": count,
                }
                for row, count in self.found[:SHOWN]
            ],
        }


def ways_to_fail(run: SceneRun) -> tuple[WaysToFail, ...]:
    """Return the different ways to fail of each model; none where the policy is no search, or nothing is right or wrong.

    Cost: Quadratic in the number of wrong scenes at worst: 0.04 s for 200, 0.3 s for 1000, no two of which are alike.
    """
    from similitude.scenes.search.policy import policy_entry

    if not policy_entry(run.settings.policy.kind).learns:
        return ()
    from similitude.scenes.search.distinct import distinct_failures

    models = dict.fromkeys(row.subject for row in run.rows)
    return tuple(
        WaysToFail(model, tuple(distinct_failures(run.settings, mine, len(mine))))
        for model, mine in ((model, run.of(model)) for model in models)
        if any(row.success is not None for row in mine)
    )
