"""Real data sets by name, offline, and readers of the standard file formats; nothing is ever downloaded."""

from similitude.data.catalog import Listing, available, load
from similitude.data.sets import ImageSet, TextSet

__all__ = ["ImageSet", "Listing", "TextSet", "available", "load"]
