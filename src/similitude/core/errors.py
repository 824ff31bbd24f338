"""Errors that a user meets: each says what is wrong, which law it breaks by how much, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from similitude.core.refusal import Refusal


class SimilitudeError(Exception):
    """Base of every error that similitude raises on purpose.

    The command line prints its text without a traceback and leaves with `exit_code`
    (0 good, 1 a bad verdict, 2 wrong use, 3 not enough evidence).
    """

    exit_code = 2


class PlanError(SimilitudeError):
    """The two sizes of a model cannot be planned, or a plan does not fit the model or optimizer it meets."""


class RoleError(PlanError):
    """The role of a tensor cannot be told from what is known about it."""


class FactoryError(SimilitudeError):
    """A `module:factory` cannot be imported, has the wrong signature, or fails when called."""


class DataError(SimilitudeError):
    """A data set is not there, or its files are malformed, truncated, empty or hostile."""


class GridError(SimilitudeError):
    """A grid of sizes or hyperparameters cannot answer the question asked of it."""


class CurvatureError(SimilitudeError):
    """A curvature cannot be taken: of the loss, at this point, along this vector, or in these units."""


class KernelError(SimilitudeError):
    """A module has no kernel in the limit of infinite width, or not on these inputs; the text names the operation.

    Attributes:
        refusal: The operation at fault; None where there is none.
    """

    refusal: Refusal | None = None


class TheoryError(SimilitudeError):
    """A prediction of theory cannot be made: its input breaks an assumption, or the predicted quantity does not exist."""


class StudyError(SimilitudeError):
    """A study cannot be stored, read or continued."""


class EvaluationError(SimilitudeError):
    """A suite, its data, a subject or its results cannot be used as they are."""


class LearnerError(SimilitudeError):
    """A few-shot learner cannot learn from a split or answer its queries; the other splits can go on."""


class WorldError(SimilitudeError):
    """A generated world, its file, or what is asked of a simulation of it is not valid."""


class SceneError(SimilitudeError):
    """A rendered scene, its study, a model of an object, a control or a renderer cannot be used as it is."""


class TuningError(SimilitudeError):
    """A search space, a budget or a tuning study cannot be used as it is."""


class ReportError(SimilitudeError):
    """A report cannot be written."""


class BadVerdictError(SimilitudeError):
    """A result whose `raise_if_bad()` was called has a bad verdict."""

    exit_code = 1


class NotEnoughEvidenceError(SimilitudeError):
    """A result whose `raise_if_bad()` was called is neither good nor bad yet."""

    exit_code = 3
