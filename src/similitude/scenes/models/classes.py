"""Whether a study's labels and its evaluator fit the classes of a model, as far as they are known without a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from similitude.core.errors import SceneError
from similitude.scenes.models.catalog import MODELS
from similitude.scenes.models.classifier import accepted_classes
from similitude.scenes.models.evaluator import Evaluator


def check_classes(
    evaluator: Evaluator, labels: Mapping[str, Sequence[str]], *, model: str, names: Sequence[str]
) -> None:
    """See that every label is a class of a model, and that not every answer would be right.

    Args:
        evaluator: What is asked; only of classification and detection there are labels.
        labels: Labels that a study says, by object.
        model: The model's name, for messages.
        names: Names of its classes; empty where they are not known, and nothing is checked.

    Raises:
        SceneError: A label is no class, the close one is said; or the evaluator takes as many first classes as there are.
    """
    if not names or evaluator.kind not in ("classification", "detection"):
        return
    if told := too_many(getattr(evaluator, "top", 0), len(names)):
        raise SceneError(f"model '{model}': {told}")
    for object_, given in labels.items():
        try:
            accepted_classes(given, names)
        except SceneError as error:
            raise SceneError(f"labels: {object_}: model '{model}': {error}") from error


def names_without_loading(reference: str) -> Sequence[str]:
    """Return the names of a model's classes where they are known before it is loaded; none elsewhere.

    Example:
        >>> len(names_without_loading("efficientnet-lite0")), names_without_loading("mine.py:make")
        (1000, ())
    """
    if reference not in MODELS:
        return ()
    from similitude.scenes.assets.imagenet import class_names

    return class_names()


def too_many(top: int, classes: int) -> str:
    """Return why the first k of so many classes say nothing; empty where they do.

    Example:
        >>> too_many(2, 3), "every answer right" in too_many(3, 3)
        ('', True)
    """
    if top < classes:
        return ""
    return f"top={top} of {classes} classes makes every answer right. Give a smaller one, e.g. top: 1."
