"""What all HTML pages share: the template environment, its filters, and the colours of both themes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from similitude.report import numbers, words
from similitude.report.palette import css_variables

if TYPE_CHECKING:
    from jinja2 import Environment


def render_template(template: str, filters: Mapping[str, Callable[..., Any]], **values: Any) -> str:
    """Render one of the page templates; the same values give the same bytes.

    Args:
        template: File name in `templates/`.
        filters: Filters of the template by name, beside those that all have: `report.numbers` and `report.words`.
        **values: What the template shows; the variables of both themes are added as `light` and `dark`.
    """
    environment = _environment()
    environment.filters |= public_functions(numbers, words) | dict(filters)
    themes = {"light": css_variables(dark=False), "dark": css_variables(dark=True)}
    return environment.get_template(template).render(**values, **themes)


def public_functions(*modules: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return everything that can be called in some modules by name, as filters; names with an underscore are left out."""
    return {
        name: f for module in modules for name, f in vars(module).items() if callable(f) and name[0] != "_"
    }


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("similitude.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
