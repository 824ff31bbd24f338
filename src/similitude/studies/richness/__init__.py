"""How much a network learns features, mapped: `sim.richness`.

Public names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from similitude.core.lazy import lazy_names

if TYPE_CHECKING:
    from similitude.scaling.richness import lr_scale
    from similitude.studies.richness.budgets import Budget
    from similitude.studies.richness.diagram import PhaseCell, PhaseDiagram
    from similitude.studies.richness.phase_sweep import sweep
    from similitude.studies.richness.phases import Phase
    from similitude.studies.richness.rescaled_time import Collapse, collapse

_HOMES = {
    "Budget": "studies.richness.budgets",
    "Collapse": "studies.richness.rescaled_time",
    "Phase": "studies.richness.phases",
    "PhaseCell": "studies.richness.diagram",
    "PhaseDiagram": "studies.richness.diagram",
    "collapse": "studies.richness.rescaled_time",
    "lr_scale": "scaling.richness",
    "sweep": "studies.richness.phase_sweep",
}

__all__ = [
    "Budget",
    "Collapse",
    "Phase",
    "PhaseCell",
    "PhaseDiagram",
    "collapse",
    "lr_scale",
    "sweep",
]

__getattr__, __dir__ = lazy_names(globals(), "similitude", _HOMES)
