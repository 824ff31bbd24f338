"""Models that look at pictures of scenes, and evaluators that say how right they are."""
