"""How much of a sequence lies in back-to-back copies of itself.

A stretch loops with period p when every unit equals the one p before it. It counts from max(2p, FEWEST) such
matches on: at least three copies, so that "no, no" and a refrain sung twice do not.

    loop share = units inside some loop / all units,   over words (p ≤ 96) and over characters (p ≤ 48)

The first copy is part of the loop. Unlike an n-gram's share this does not fall as the period grows.
"""

import numpy as np

LONGEST_PERIOD = {"word": 96, "character": 48}
FEWEST = {"word": 6, "character": 18}


def loop_share(ids: np.ndarray, unit: str) -> float:
    """ids [n]: equal units have equal numbers. unit: "word" or "character"."""
    inside = np.zeros(len(ids) + 1, np.int64)  # +1 where a loop begins, −1 where it ends
    for period in range(1, min(LONGEST_PERIOD[unit], len(ids) // 3) + 1):
        needed = max(2 * period, FEWEST[unit])
        equal = ids[period:] == ids[:-period]
        if equal.tobytes().find(b"\x01" * needed) < 0:  # the usual case, told faster than by finding all stretches
            continue
        breaks = np.flatnonzero(~equal)
        starts = np.concatenate(([-1], breaks)) + 1
        ends = np.concatenate((breaks, [len(equal)]))
        long = np.flatnonzero(ends - starts >= needed)
        np.add.at(inside, starts[long], 1)
        np.add.at(inside, ends[long] + period, -1)
    return float((np.cumsum(inside[:-1]) > 0).mean()) if len(ids) else 0.0
