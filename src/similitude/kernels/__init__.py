"""The kernels of modules in the limit of infinite width, and what they predict."""
