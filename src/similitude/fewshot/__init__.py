"""Few-shot language understanding on CLUES: data, audit, metric, protocol and learners (paper 18).

Public names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from similitude.core.lazy import lazy_names

if TYPE_CHECKING:
    from similitude.fewshot.auditing import Audit, audit
    from similitude.fewshot.examples import Answer, Example, Query
    from similitude.fewshot.formats.columns import read_conll
    from similitude.fewshot.formats.sampling import few_shot
    from similitude.fewshot.formats.squad import read_squad
    from similitude.fewshot.formats.tables import read_mnli, read_sst2, read_table
    from similitude.fewshot.guard import guarded, guarded_answers
    from similitude.fewshot.learners.catalog import LEARNERS, learner
    from similitude.fewshot.learners.learner import Learner, Predictor
    from similitude.fewshot.metric import Scores, fair_score, score, set_f1, strict_score
    from similitude.fewshot.predictions import read_predictions, write_predictions
    from similitude.fewshot.protocol import FewshotRun, run, verified
    from similitude.fewshot.publications import published, published_aggregate
    from similitude.fewshot.reading import Clues, load, read_clues
    from similitude.fewshot.summary import aggregate_of, compare, summarise
    from similitude.fewshot.tasks import SHOTS, SPLITS, TASKS, Task
    from similitude.fewshot.widths.records import WidthStudy
    from similitude.fewshot.widths.settings import WidthSettings
    from similitude.fewshot.widths.study import width_study

__all__ = [
    "LEARNERS",
    "SHOTS",
    "SPLITS",
    "TASKS",
    "Answer",
    "Audit",
    "Clues",
    "Example",
    "FewshotRun",
    "Learner",
    "Predictor",
    "Query",
    "Scores",
    "Task",
    "WidthSettings",
    "WidthStudy",
    "aggregate_of",
    "audit",
    "compare",
    "fair_score",
    "few_shot",
    "guarded",
    "guarded_answers",
    "learner",
    "load",
    "published",
    "published_aggregate",
    "read_clues",
    "read_conll",
    "read_mnli",
    "read_predictions",
    "read_squad",
    "read_sst2",
    "read_table",
    "run",
    "score",
    "set_f1",
    "strict_score",
    "summarise",
    "verified",
    "width_study",
    "write_predictions",
]

_HOMES = {
    "Answer": "examples",
    "Audit": "auditing",
    "Clues": "reading",
    "Example": "examples",
    "FewshotRun": "protocol",
    "LEARNERS": "learners.catalog",
    "Learner": "learners.learner",
    "Predictor": "learners.learner",
    "Query": "examples",
    "SHOTS": "tasks",
    "SPLITS": "tasks",
    "Scores": "metric",
    "TASKS": "tasks",
    "Task": "tasks",
    "WidthSettings": "widths.settings",
    "WidthStudy": "widths.records",
    "aggregate_of": "summary",
    "audit": "auditing",
    "compare": "summary",
    "fair_score": "metric",
    "few_shot": "formats.sampling",
    "guarded": "guard",
    "guarded_answers": "guard",
    "learner": "learners.catalog",
    "load": "reading",
    "published": "publications",
    "published_aggregate": "publications",
    "read_clues": "reading",
    "read_conll": "formats.columns",
    "read_mnli": "formats.tables",
    "read_predictions": "predictions",
    "read_squad": "formats.squad",
    "read_sst2": "formats.tables",
    "read_table": "formats.tables",
    "run": "protocol",
    "score": "metric",
    "set_f1": "metric",
    "strict_score": "metric",
    "summarise": "summary",
    "verified": "protocol",
    "width_study": "widths.study",
    "write_predictions": "predictions",
}

__getattr__, __dir__ = lazy_names(globals(), "similitude.fewshot", _HOMES)
