"""Transfer studies: what is run, the optimum of every width, its shift with width, and verdicts."""
