"""What every tensor of a model is used for: one traced forward pass at two sizes, side by side."""
