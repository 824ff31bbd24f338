"""Results of scenes as pages: one self-contained file with filters, and one that compares two models."""
