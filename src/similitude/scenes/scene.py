"""A scene as a user writes it: an object and the settings of controls by the names of their instances."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any

from similitude.core.errors import SceneError
from similitude.scenes.controls.control import Control, Value

KIND = "kind"
"""Setting of a control that names its kind, where the instance's own name is none."""


@dataclass(frozen=True)
class Scene:
    """A complete description of a picture; frozen and hashable, and nothing of an earlier scene matters to it.

    Attributes:
        object: Name of an object (`similitude.scenes.OBJECTS`), "sweethome3d:NAME", or the path of an OBJ or glTF file.
        controls: Settings by instance of a control, then by name. They act by phase (`scenes.controls.control.Phase`): a
            camera sees the object as it was turned, whichever is said first; effects act in the order given. They are
            held in the order in which they act, so that scenes that say the same are equal. An instance bears the name
            of a kind of control ("orientation"), or says it: `{"left": {"kind": "light", "power": 80}}`. Settings that
            are left out have their center; controls that are left out do nothing.
        environment: Light from all around: a name (`similitude.scenes.ENVIRONMENTS`), or the path of an EXR or HDR.
        resolution: Rows and columns of the picture.
        samples: Samples per pixel; None for the renderer's own choice.

    Raises:
        SceneError: A control, a setting or a value is not known; the names that are close are said.

    Example:
        >>> scene = Scene("mug", {"orientation": {"rotation_z": 0.5}, "size": {"kind": "scale", "factor": 0.5}})
        >>> scene["orientation.rotation_z"], scene == Scene.from_dict(scene.to_dict())
        (0.5, True)
    """

    object: str
    controls: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    environment: str = "studio"
    resolution: int = 128
    samples: int | None = None

    def __post_init__(self) -> None:
        from similitude.scenes.controls.catalog import acting_order, checked_settings

        if not isinstance(self.object, str) or not self.object:
            raise SceneError(f"object={self.object!r}: give the name of an object or the path of its file.")
        for name, least, most in (("resolution", 8, 4096), ("samples", 1, 65536)):
            value = getattr(self, name)
            if name == "samples" and value is None:
                continue
            whole = int(value) if isinstance(value, Integral) and not isinstance(value, bool) else 0
            if not least <= whole <= most:
                raise SceneError(f"{name}={value!r}: give a whole number from {least} to {most}.")
            object.__setattr__(self, name, whole)  # numpy's are made Python's
        if not isinstance(self.controls, Mapping):
            raise SceneError(
                f"controls={self.controls!r:.60}: give settings by control, e.g. {{'scale': {{'factor': 0.5}}}}."
            )
        fixed = {name: _Frozen(checked_settings(name, settings)) for name, settings in self.controls.items()}
        object.__setattr__(self, "controls", _Frozen({name: fixed[name] for name in acting_order(fixed)}))

    def __getitem__(self, name: str) -> Value:
        """Return the value of a setting, "instance.setting"."""
        instance, _, setting = name.partition(".")
        return self.controls[instance][setting]

    @cached_property
    def settings(self) -> Mapping[str, Value]:
        """Every setting that was given, as "instance.setting"; it cannot be changed."""
        return _Frozen(
            {
                f"{instance}.{name}": value
                for instance, values in self.controls.items()
                for name, value in values.items()
                if name != KIND
            }
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the description, however it was written: in any order, its centers and kinds said or left out.

        Names of instances are part of it; what the files hold that it names is another matter.
        """
        from similitude.scenes.controls.catalog import in_order

        controls = [
            [name, control.kind, _plain(control, values)] for name, control, values in in_order(self.controls)
        ]
        return _digest([self.object, controls, self.environment, self.resolution, self.samples])

    @cached_property
    def noise_seed(self) -> int:
        """Seed of effects that draw random numbers, from 0 to 2^32 - 1.

        It depends on what is not at its center, and not on the names of instances: a control that is added in its center
        does not change the noise.
        """
        from similitude.scenes.controls.catalog import in_order
        from similitude.scenes.controls.control import Phase

        standing, effects = [], []
        for _, control, values in in_order(self.controls):
            centers = _plain(control, {name: one.first for name, one in control.dimensions.items()})
            moved = {name: v for name, v in _plain(control, values).items() if v != centers[name]}
            if moved:
                (effects if control.phase is Phase.EFFECT else standing).append([control.kind, moved])
        parts = [self.object, sorted(standing, key=json.dumps), effects]
        return int(_digest([*parts, self.environment, self.resolution, self.samples])[:8], 16)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "object": self.object,
            "controls": {name: dict(values) for name, values in self.controls.items()},
            "environment": self.environment,
            "resolution": self.resolution,
            "samples": self.samples,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scene:
        """Return the scene that `to_dict` wrote.

        Raises:
            SceneError: A field is unknown or missing.
        """
        known = tuple(cls.__dataclass_fields__)
        if unknown := sorted(set(data) - set(known)):
            raise SceneError(
                f"a scene has no {', '.join(map(repr, unknown))}. Its fields are {', '.join(known)}."
            )
        if "object" not in data:
            raise SceneError("a scene needs 'object', the name of what is looked at.")
        return cls(**data)


def _plain(control: Control, values: Mapping[str, Value]) -> dict[str, Value]:
    return {name: control.settings[name].plain(value) for name, value in values.items()}


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class _Frozen(Mapping[str, Any]):
    """A mapping that keeps its order, cannot be changed and can be hashed."""

    def __init__(self, items: Mapping[str, Any]) -> None:
        self._items = dict(items)

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and list(self.items()) == list(other.items())

    def __repr__(self) -> str:
        return repr(self._items)
