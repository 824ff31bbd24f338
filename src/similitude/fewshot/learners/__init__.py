"""Few-shot learners: what fits one split of a task and answers queries."""
