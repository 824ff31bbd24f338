"""Problems with known fronts, and how good a search is on them."""
