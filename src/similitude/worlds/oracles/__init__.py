"""Oracles: policies that know everything and carry out a world's solution through the 21 numbers of an action."""
