"""Tests run on one thread each: the workers of pytest-xdist are the parallelism."""

import torch

torch.set_num_threads(1)
