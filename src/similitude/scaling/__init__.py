"""Width scaling: which axes grow, each tensor's role, and its factors for init, lr, eps and weight decay."""
