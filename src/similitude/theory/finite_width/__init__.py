"""Networks of finite width and depth: criticality, fluctuations, and residual covariances (papers 8 and 15)."""
