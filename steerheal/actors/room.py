"""How many stage processes of each kind find room on the nodes of a cluster."""

from collections.abc import Mapping, Sequence

from steerheal.config.sources import Kind
from steerheal.errors import UserError


def fitting(kinds: Mapping[str, Kind], nodes: Sequence[Mapping[str, float]], reserve: float) -> dict[str, int]:
    """Kind -> replicas, at most as many as it asks for; the first of every kind come before the second of any.

    nodes: what each offers, as Ray names it (CPU, GPU, own names). `reserve`: CPUs, on whatever node, that stay free for
    the trials. First fit: Ray may place otherwise, and a process that finds no room then waits.
    """
    free, found, full = [dict(node) for node in nodes], dict.fromkeys(kinds, 0), set()
    for number in range(max(kind.replicas for kind in kinds.values())):
        for name, kind in kinds.items():
            if number >= kind.replicas or name in full:
                continue
            node = next((node for node in free if _holds(node, kind)), None)
            if node is None or sum(node.get("CPU", 0.0) for node in free) - kind.cpus < reserve:
                full.add(name)
                continue
            for what, amount in needs(kind).items():
                node[what] -= amount
            found[name] += 1
    return found


def check_room(kinds: Mapping[str, Kind], nodes: Sequence[Mapping[str, float]], reserve: float, placement: str) -> None:
    """Raise UserError for what Ray would let wait for ever: processes that no node holds, or no CPU left for a trial."""
    there, wanted = sum(node.get("GPU", 0) for node in nodes), sum(kind.gpus * kind.replicas for kind in kinds.values())
    if there < wanted:
        raise UserError(
            f"resources.placement: {placement} needs {wanted:g} GPUs, there are {there:g}; "
            "lower gpus, replicas or processes"
        )
    room = fitting(kinds, nodes, reserve)
    for name, kind in kinds.items():
        if room[name] < kind.replicas:
            takes = ", ".join(f"{what} {amount:g}" for what, amount in needs(kind).items())
            have = "; ".join(", ".join(f"{what} {amount:g}" for what, amount in node.items()) for node in nodes)
            raise UserError(
                f"resources: there is room for {room[name]} of {kind.replicas} processes for {name} (each takes {takes}) "
                f"beside the others and a trial; the nodes have {have}; lower cpus, gpus or replicas, or add nodes"
            )


def needs(kind: Kind) -> dict[str, float]:
    """What one process of a kind takes, without what it takes none of."""
    return {what: amount for what, amount in {"CPU": kind.cpus, "GPU": kind.gpus, **kind.resources}.items() if amount}


def _holds(node: Mapping[str, float], kind: Kind) -> bool:
    # Shares of a GPU (a third each) must not fail by rounding.
    return all(node.get(what, 0.0) >= amount - 1e-9 for what, amount in needs(kind).items())
