"""Few-shot quality over the width of encoders that are pretrained here, under several parametrizations."""
