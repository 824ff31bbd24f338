"""Records that travel between packages, errors, seeding and citations."""
