"""A band of a model's depth, as text: two edges in percent, `20-40`. Pure functions."""

import re
from fractions import Fraction

WHOLE = "0-100"
_TEXT = re.compile(r"(\d{1,3}(?:\.\d{1,4})?)\s*-\s*(\d{1,3}(?:\.\d{1,4})?)", re.ASCII)


def band_text(text: str) -> str:
    """The band as it is always written. Raises ValueError, with the remedy, for what is none."""
    found = _TEXT.fullmatch(text.strip())
    if not found:
        raise ValueError("no band of the depth; write two edges in percent, low-high, e.g. 20-40")
    low, high = map(Fraction, found.groups())
    if low >= high:
        raise ValueError("the first edge is not below the second; write e.g. 20-40")
    if high > 100:
        raise ValueError("an edge lies above 100 percent; write e.g. 80-100")
    return "-".join(f"{float(edge):g}" for edge in (low, high))


def edges(band: str) -> tuple[Fraction, Fraction]:
    """The edges as exact shares of the depth, from 0 to 1."""
    low, high = (Fraction(edge) / 100 for edge in band.split("-"))
    return low, high


def band_blocks(band: str, count: int) -> range:
    """Of `count` blocks, floor(low · count) … floor(high · count) − 1, perhaps none: bands that share an edge share no
    block, and bands that cover the depth cover every block.

    Where the count does not divide evenly, bands of one width differ by a block: 8 blocks in fifths are 1, 2, 1, 2, 2.
    """
    low, high = edges(band)
    return range(int(low * count), int(high * count))
