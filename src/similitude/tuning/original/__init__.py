"""The search as published, for comparison: what `compat="carbs"` runs."""
