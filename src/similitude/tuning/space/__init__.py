"""Search spaces: dimensions on their own scales, and the points of a search."""
