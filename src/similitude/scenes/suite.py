"""The suite of rendered scenes: objects, controls, renderers, policies, models, and figures of its rows."""

from __future__ import annotations

from collections.abc import Sequence

from similitude.core.chart import Chart
from similitude.evaluation.anchors import Anchor
from similitude.evaluation.rows import Row
from similitude.evaluation.suite import Part
from similitude.scenes.study.records import NAME, VERSION

SMALL = ("--resolution", "32")
TINY = ("--count", "1", *SMALL)
"""Arguments of examples: the smallest study that there is."""

FEW, LEARNT = ("--count", "4", *SMALL), ("--count", "12", *SMALL)
"""The same of policies: so few scenes that it can be seen how they choose, those that learn by what they were told."""


class ScenesSuite:
    """Pictures of objects under controlled conditions, shown to models of vision (paper 20)."""

    name = NAME
    title = "Rendered scenes that explain the failures of vision models"
    version = VERSION
    unit = "1 where the model is right, else 0; the evaluator's own for detection and regression"
    groups: tuple[str, ...] = ()
    decimals = 3

    def parts(self) -> Sequence[Part]:
        """Return its objects, controls, renderers, policies and models; every example is run by a test."""
        from similitude.scenes.controls.catalog import controls
        from similitude.scenes.models.catalog import MODELS
        from similitude.scenes.objects.catalog import OBJECTS
        from similitude.scenes.renderers.renderer import RENDERERS
        from similitude.scenes.search.policy import POLICIES

        objects = [
            Part("object", name, entry.summary, ("--objects", name, *TINY))
            for name, entry in OBJECTS.items()
            if entry.labels
        ]
        kinds = [
            Part("control", kind, control.summary, ("--objects", "mug", "--controls", kind, *TINY))
            for kind, control in controls().items()
        ]
        renderers = [
            Part("renderer", name, entry.summary, ("--objects", "mug", "--renderer", name, *TINY))
            for name, entry in RENDERERS.items()
        ]
        policies = [
            Part(
                "policy",
                name,
                entry.summary,
                (
                    *("--objects", "mug", "--controls", "scale", "--policy", name),
                    *(LEARNT if entry.learns else FEW),
                ),
            )
            for name, entry in POLICIES.items()
        ]
        models = [
            Part("model", name, summary, ("--objects", "mug", "--model", name, *TINY))
            for name, summary in MODELS.items()
        ]
        return [*objects, *kinds, *renderers, *policies, *models]

    def anchors(self) -> Sequence[Anchor]:
        """Return nothing: what is right without any ability depends on the labels of an object."""
        return ()

    def counted(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows that tables take: all but those whose picture shows nothing of the object."""
        from similitude.scenes.analysis.factors import unseen

        return [row for row in rows if not unseen(row)]

    def charts(self, rows: Sequence[Row]) -> Sequence[Chart]:
        """Return figures of rows: accuracy by factor, sensitivity, occlusion, calibration."""
        from similitude.scenes.analysis.charts import charts

        return charts(rows)


SUITE = ScenesSuite()
