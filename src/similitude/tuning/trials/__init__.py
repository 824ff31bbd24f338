"""Records of trials: costs, budgets, failures, leases, and what a study has shown."""
