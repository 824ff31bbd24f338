"""Deep networks with batch norm and orthogonal weights, whose gradients do not explode (paper 3)."""
