"""Ways through a world by the physics' own rules, and the proof that a solution works."""
