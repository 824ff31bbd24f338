"""A choice of names that is open: those that are known are searched, others can be given, e.g. paths of files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from similitude.core.errors import TuningError
from similitude.tuning.space.dimensions import Choice


@dataclass(frozen=True, init=False)
class Names(Choice):
    """Known names, of which a search takes one, and any other name that is not empty.

    Whether there is something of another name is seen when it is looked up.

    Example:
        >>> woods = Names("oak", "pine")
        >>> woods.to_unit("pine"), woods.to_unit("/pictures/beech.png")
        (1.0, 2.0)
    """

    def to_unit(self, value: Any) -> float:
        """Return the coordinate of a name; all that are not known lie behind the last."""
        if value in self.values:
            return super().to_unit(value)
        if not isinstance(value, str) or not value:
            raise TuningError(f"{value!r:.60} is no name. Known ones: {', '.join(map(str, self.values))}.")
        return self._coordinate(len(self.values))
