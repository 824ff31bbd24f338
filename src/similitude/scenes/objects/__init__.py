"""Objects that are looked at: built by code, read from files, and how each is found by name."""
