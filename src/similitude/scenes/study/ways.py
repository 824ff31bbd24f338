"""What the rows of a folder were made from that their keys do not say: contents of files, kinds and order of controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from similitude.scenes.controls.catalog import control_named
from similitude.scenes.controls.control import Phase
from similitude.scenes.study.settings import StudySettings

UNREAD = ""
"""Digest of a file that is too large to be read: no row was made from it."""


@dataclass(frozen=True)
class Ways:
    """Of one run, or of all runs of a folder together.

    Attributes:
        files: Digests of files by the names that they are given.
        kinds: Kinds of controls by instance.
        orders: Effects on the picture, which act in the order in which they are given; a list for every order that does
            not stand in another one.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    orders: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, settings: StudySettings, files: Mapping[str, str]) -> Ways:
        """Return those of a study.

        Args:
            settings: The study.
            files: Digests of the files that it names.
        """
        return cls(files, _kinds(settings.controls), _orders(settings.controls))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ways:
        """Return those of a folder's `study.json`; those of its last run alone in folders of before.

        Raises:
            SceneError: A control is none.
        """
        controls = data.get("settings", {}).get("controls", {})
        orders = data.get("orders")
        return cls(
            data.get("files") or {},
            {**_kinds(controls), **(data.get("kinds") or {})},
            _orders(controls) if orders is None else tuple(tuple(map(str, order)) for order in orders),
        )

    def differences(self, before: Ways) -> list[str]:
        """Return what is not as it was, in words; only what both have is compared."""
        found = [
            f"controls: {name}"
            for name, kind in before.kinds.items()
            if name in self.kinds and self.kinds[name] != kind
        ]
        for now in self.orders:
            for order in before.orders:
                both = [[name for name in one if name in now and name in order] for one in (order, now)]
                found += [f"the order of {' and '.join(both[0])}"] if both[0] != both[1] else []
        found += [
            f"the content of {name}"
            for name, digest in before.files.items()
            if digest != UNREAD and self.files.get(name, digest) != digest
        ]
        return list(dict.fromkeys(found))

    def after(self, before: Ways) -> Ways:
        """Return these together with those of earlier runs."""
        orders = [order for order in dict.fromkeys((*before.orders, *self.orders)) if len(order) > 1]
        kept = [one for one in orders if not any(one != other and _within(one, other) for other in orders)]
        return Ways({**before.files, **self.files}, {**before.kinds, **self.kinds}, tuple(kept))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "files": dict(self.files),
            "kinds": dict(self.kinds),
            "orders": [list(order) for order in self.orders],
        }


def _kinds(controls: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: str(given.get("kind", name)) for name, given in controls.items()}


def _orders(controls: Mapping[str, Mapping[str, Any]]) -> tuple[tuple[str, ...], ...]:
    kinds = _kinds(controls).items()
    order = tuple(name for name, kind in kinds if control_named(kind, instance=name).phase is Phase.EFFECT)
    return (order,) if len(order) > 1 else ()


def _within(order: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether an order is what another one says of the same effects."""
    return order == tuple(name for name in other if name in order)
