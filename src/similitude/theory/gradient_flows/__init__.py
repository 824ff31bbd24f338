"""Which features a two-layer network learns first, when, and by how much its loss drops: alternating gradient flows."""
