"""Training: the plain loop, and many runs of one model as one batched program."""
