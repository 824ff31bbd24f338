"""The landscape of a loss at a point: curvature of every kind, in the optimizer's own units, and tangent kernels."""
