"""What the search needs of Ray Tune, or how to install it where it is not there."""

from __future__ import annotations

from typing import Any

try:
    from ray.tune import report
    from ray.tune.search import Searcher
    from ray.tune.search.variant_generator import parse_spec_vars
except ImportError as error:
    raise ImportError(
        "similitude.integrations.ray_tune needs Ray Tune: pip install 'similitude[ray]'"
    ) from error

__all__ = ["Searcher", "has_domains", "report"]


def has_domains(config: dict[str, Any]) -> bool:
    """Whether a `param_space` has anything that Ray Tune would search."""
    _, domains, grids = parse_spec_vars(config)
    return bool(domains or grids)
