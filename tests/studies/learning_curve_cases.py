"""A pool whose kernel has a known spectrum and no structure beside, and studies of it."""

from functools import cache

import numpy as np

from similitude.studies.learning_curve_study import learning_curve_study

SIZE = 200


def pool(size=SIZE, *, outputs=2):
    """Return a kernel with eigenvalues i^-1.3 and random eigenvectors, and targets in it."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((size, size)))[0]
    i = np.arange(1.0, size + 1)
    gram = (basis * i**-1.3 * size) @ basis.T
    rows = basis @ (rng.standard_normal((size, outputs)) * i[:, None] ** -0.6) * np.sqrt(size)
    return (gram + gram.T) / 2, rows


@cache
def study():
    """Return a small study of it."""
    return learning_curve_study(
        *pool(), sizes=(20, 40, 80), widths=(20, 160), noise=0.3, draws=8, name="a <b>", data="a pool"
    )
