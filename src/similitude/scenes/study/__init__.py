"""Studies: a file that says what to vary, and the run that renders, asks the model and keeps every result."""
