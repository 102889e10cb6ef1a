"""Which pairs the corpus never shows: a hash of the pair decides, so the split needs no list and no state."""

import hashlib

from .situations import Act

_BUCKETS = 12


def bucket(text: str) -> int:
    """0..11, stable across machines and versions of Python."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % _BUCKETS


def part(act: Act) -> str:
    """`tuning` (vignettes.jsonl), `card` (vignettes_card.jsonl) or `train`."""
    return {0: "tuning", 1: "tuning", 2: "card", 3: "card"}.get(bucket(f"{act.foundation}|{act.phrase}"), "train")
