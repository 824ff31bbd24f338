"""The colour of a body that glows at a temperature."""

from __future__ import annotations

import numpy as np

DAYLIGHT = 6500.0
"""Temperature whose light is white, in kelvin."""

_TO_RGB = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])


def warmth(kelvin: float) -> np.ndarray:
    """Return the linear colour of a glowing body's light, its largest part 1, shape (3,); white at 6500 K.

    Args:
        kelvin: Its temperature, 1667 to 25000.

    Source: Kim et al. 2002, US patent 7024034, cubic splines of the Planckian locus in CIE 1931 x, y; sRGB's primaries
    (IEC 61966-2-1).

    Example:
        >>> red, green, blue = warmth(3000.0)
        >>> bool(red > green > blue), warmth(6500.0).tolist()
        (True, [1.0, 1.0, 1.0])
    """
    color = _on_locus(kelvin) / _on_locus(DAYLIGHT)
    return np.clip(color / color.max(), 0.0, 1.0)


def _on_locus(kelvin: float) -> np.ndarray:
    k = 1e3 / kelvin
    powers = np.array([k**3, k**2, k, 1.0])
    if kelvin <= 4000:
        x = powers @ [-0.2661239, -0.2343589, 0.8776956, 0.179910]
    else:
        x = powers @ [-3.0258469, 2.1070379, 0.2226347, 0.240390]
    cubes = np.array([x**3, x**2, x, 1.0])
    if kelvin <= 2222:
        y = cubes @ [-1.1063814, -1.34811020, 2.18555832, -0.20219683]
    elif kelvin <= 4000:
        y = cubes @ [-0.9549476, -1.37418593, 2.09137015, -0.16748867]
    else:
        y = cubes @ [3.0817580, -5.87338670, 3.75112997, -0.37001483]
    rgb = _TO_RGB @ np.array([x / y, 1.0, (1 - x - y) / y])
    return np.maximum(rgb, 1e-6)
