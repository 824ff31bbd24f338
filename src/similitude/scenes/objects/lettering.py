"""Letters and digits as strokes of a pen, for what is written on objects."""

from __future__ import annotations

import numpy as np

# Corners of each stroke, x and y in hundredths of the letter's width and height, from its lower left.
_GLYPHS = {
    "0": "30,0 0,25 0,75 30,100 70,100 100,75 100,25 70,0 30,0",
    "1": "15,75 55,100 55,0",
    "2": "0,75 25,100 75,100 100,75 100,60 0,0 100,0",
    "3": "0,100 100,100 50,58 80,55 100,35 100,20 75,0 25,0 0,20",
    "4": "75,0 75,100 0,30 100,30",
    "5": "100,100 10,100 0,55 60,62 100,40 100,20 75,0 0,5",
    "6": "90,100 30,80 0,40 0,20 30,0 70,0 100,20 100,35 70,55 0,40",
    "7": "0,100 100,100 35,0",
    "8": "50,53 10,70 10,85 40,100 60,100 90,85 90,70 50,53 0,30 0,15 30,0 70,0 100,15 100,30 50,53",
    "9": "10,0 70,20 100,60 100,80 70,100 30,100 0,80 0,65 30,45 100,60",
    "S": "100,85 80,100 20,100 0,85 0,65 20,53 80,47 100,35 100,15 80,0 20,0 0,15",
    "T": "0,100 100,100 50,100 50,0",
    "O": "25,0 0,20 0,80 25,100 75,100 100,80 100,20 75,0 25,0",
    "P": "0,0 0,100 75,100 100,85 100,60 75,46 0,46",
}


def written(
    text: str, middle: tuple[float, float], *, width: float, height: float, gap: float
) -> list[np.ndarray]:
    """Return the strokes of a text, a line of corners for each letter, shape (K, 2).

    Args:
        text: Of digits and of the letters of STOP.
        middle: Of the text.
        width: Of a letter.
        height: Of a letter.
        gap: Between two letters.
    """
    left = middle[0] - (len(text) * (width + gap) - gap) / 2
    out = []
    for k, letter in enumerate(text):
        corners = np.array([corner.split(",") for corner in _GLYPHS[letter].split()], np.float64) / 100
        out.append(corners * [width, height] + [left + k * (width + gap), middle[1] - height / 2])
    return out
