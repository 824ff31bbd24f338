"""Learning in generated worlds: networks with a plan, cloning of oracles, PPO, a curriculum."""
