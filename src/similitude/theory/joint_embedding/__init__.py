"""When the dimensions of a joint-embedding self-supervised model switch on, and what they will be (paper 11)."""
