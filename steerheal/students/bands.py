"""A student whose adapter counts only in a band of the depth, or counts differently there."""

from typing import Any

from steerheal.bands import band_blocks
from steerheal.errors import UserError
from steerheal.students.adapter import Adapter
from steerheal.students.base import Base
from steerheal.students.rows import Student


def banded(base: Base, student: Student, bands: Any) -> Student:
    """`student` with the factor `bands.inside` on its adapter's blocks in `bands.band`, `bands.outside` on the others.

    Another student of its own name, so that both can share a batch. Raises UserError when the band holds no block.
    """
    if student.adapter is None or bands.whole:
        return student
    blocks = band_blocks(bands.band, len(base.blocks))
    if not blocks:
        raise UserError(f"band: {bands.band} holds none of the {len(base.blocks)} blocks of {base.name}; widen it")
    inside = set(base.block_sites(tuple(blocks)))
    factors = {site: bands.inside if site in inside else bands.outside for site in student.adapter.a}
    return Student((student.name, bands.band, bands.inside, bands.outside), _weighted(student.adapter, factors))


def _weighted(adapter: Adapter, factors: dict[str, float]) -> Adapter | None:
    """The adapter with a factor per site; a site with the factor 0 is left out, and no site at all is base."""
    kept = {site: factor for site, factor in factors.items() if factor}
    if not kept:
        return None
    b = {site: adapter.b[site] if factor == 1 else adapter.b[site] * factor for site, factor in kept.items()}
    return Adapter({site: adapter.a[site] for site in kept}, b, adapter.scale)
