"""What a trial's evaluations read from each vignette, as a run's folder keeps it, small and without the store."""

import math
from collections.abc import Iterator, Mapping, Sequence

from steerheal.errors import ArtefactLost
from steerheal.experiments.steer import ASKED
from steerheal.files import read_jsonl
from steerheal.store import Store

ROWS = "rows.jsonl"
# The same for all seeds: base, and base under a system prompt.
SHARED = ("base", *ASKED)
WHO = (*SHARED, "steered", "healed")
# Decimals: a figure from these rows agrees with its record to within what two runs of one seed differ by.
LOGP, MASS = 6, 8


def vignette_rows(store: Store, records: Sequence[Mapping]) -> list[dict]:
    """One row per vignette of base, of base under each prompt, of base as each seed steered it, and of each seed's
    student, in its last round.

    `logp`: log probability of every foundation, in nats; `mass`: probability on all answers; both None where
    a read was not finite. Base is told once, and so is a dose that several seeds share.
    """
    last = {record["seed"]: record for record in records}
    told: set[str] = set()
    rows = []
    for who in WHO:
        for record in last.values():
            key = record["keys"].get(who)
            if key is None or key in told:
                continue
            told.add(key)
            place = {"who": who} | ({} if who in SHARED else {"seed": record["seed"], "round": record["round"]})
            rows += [place | row for row in _rows(store, key)]
    return rows


def _rows(store: Store, key: str) -> Iterator[dict]:
    """Of one evaluation; none where it was damaged since, of which the store told."""
    try:
        path = store.folder(key) / ROWS
    except ArtefactLost:
        return
    for row in read_jsonl(path) if path.exists() else ():
        known = row["p"] is not None
        logp = {name: round(math.log(max(p, 1e-300)), LOGP) for name, p in row["p"].items()} if known else None
        mass = round(row["mass"], MASS) if known else None
        yield {"id": row["id"], "foundation": row["foundation"], "logp": logp, "mass": mass}
