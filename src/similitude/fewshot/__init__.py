"""Few-shot language understanding on CLUES: data, audit, metric, protocol and learners (paper 18)."""
