"""Controls: what can be set in a scene, and what that does to it."""
