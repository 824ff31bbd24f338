"""Lightning's own `Callback`, or how to install it where it is not there."""

from __future__ import annotations

try:
    from lightning.pytorch import Callback
except ImportError as error:
    raise ImportError(
        "similitude.integrations.lightning needs lightning: pip install 'similitude[lightning]'"
    ) from error

__all__ = ["Callback"]
