"""Worlds as Gymnasium's environments: episodes, spaces, senses, rewards; one agent or thousands."""
