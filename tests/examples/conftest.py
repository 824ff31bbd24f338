"""Demos import their neighbours, as a script does."""

import sys
from pathlib import Path

DEMOS = Path(__file__).parents[2] / "examples" / "tuning"
sys.path.insert(0, str(DEMOS))
