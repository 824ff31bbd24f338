"""The suite of few-shot language understanding: its tasks, learners, and what people and published systems score."""

from __future__ import annotations

from collections.abc import Sequence

from similitude.core.chart import Chart
from similitude.evaluation.anchors import Anchor
from similitude.evaluation.rows import Row
from similitude.evaluation.suite import Part
from similitude.fewshot.learners.catalog import LEARNERS, Entry
from similitude.fewshot.predictions import VERSION
from similitude.fewshot.protocol import SUITE as NAME
from similitude.fewshot.publications import published
from similitude.fewshot.tasks import TASKS


class FewshotSuite:
    """CLUES: six tasks from 10 to 30 examples, five splits each."""

    name = NAME
    title = "Few-shot language understanding on the six tasks of CLUES"
    version = VERSION
    unit = "S1 x 100, the fair score"
    groups = ("shots",)
    decimals = 1

    def parts(self) -> Sequence[Part]:
        """Return its tasks and learners; every example is run by a test."""
        data = ("--data", "{data}")
        tasks = [
            Part(
                "task",
                task.name,
                f"{task.title}: {_ANSWERS[task.kind]}",
                (*data, "--learner", "constant", "--tasks", task.name),
            )
            for task in TASKS.values()
        ]
        learners = [
            Part(
                "learner",
                name,
                entry.summary,
                (
                    *data,
                    "--learner",
                    name,
                    "--tasks",
                    "sst-2",
                    "--shots",
                    "10",
                    "--splits",
                    "1",
                    *options(entry),
                ),
            )
            for name, entry in LEARNERS.items()
        ]
        return [*tasks, *learners]

    def charts(self, rows: Sequence[Row]) -> Sequence[Chart]:
        """Return no figures besides those that every suite has."""
        return ()

    def anchors(self) -> Sequence[Anchor]:
        """Return what people and published systems score."""
        return published()


def options(entry: Entry) -> list[str]:
    """Return the options of a learner's example as the command takes them."""
    given = [(f"--option.{name}", str(value)) for name, value in entry.example.items() if name != "encoder"]
    if "encoder" in entry.example:
        given.insert(0, ("--encoder", str(entry.example["encoder"])))
    return [word for pair in given for word in pair]


_ANSWERS = {
    "sentence": "one label of a text",
    "pair": "one label of two texts",
    "spans": "a set of spans of the text",
    "span": "one span of the text, or none",
    "cloze": "one of the candidates",
}

SUITE = FewshotSuite()
