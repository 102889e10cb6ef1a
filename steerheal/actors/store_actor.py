"""Single flight: of all who ask for an artefact, one computes it and the others wait for that one.

The actor holds leases, not data: artefacts travel through the store. A lease that its holder does
not renew (the process was killed) runs out after `lease_seconds`, and the next one in line computes instead.
"""

import asyncio
import dataclasses
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from steerheal.actors.roster import Roster
from steerheal.actors.routes import Routes
from steerheal.actors.watch import Place, here
from steerheal.errors import StoreAway
from steerheal.jobs import Result
from steerheal.store import open_store

LEASE_SECONDS = 20.0


@dataclass(frozen=True)
class Ticket:
    """The answer to `acquire`: the finished result, or why there is none, or that the store is away, or (all None)
    leave to compute.

    `starts`: the nodes on which the job was begun and not finished, one for each time. `actor`: who computes it; None
    while nobody is known to be there.
    """

    result: Result | None = None
    error: str | None = None
    away: str | None = None
    starts: tuple[str, ...] = ()
    actor: Any = None

    @property
    def compute(self) -> bool:
        """Whether the asker is now the one who computes."""
        return self.result is None and self.error is None and self.away is None


@dataclass
class Flight:
    """A key under way: who computes it, until when the lease holds, and the future that waiters watch."""

    client: str
    stage: str
    expires: float
    landed: asyncio.Future = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def land(self, ticket: Ticket | None) -> None:
        """Wake the waiters; None sends them round again, and the first of them computes."""
        if not self.landed.done():
            self.landed.set_result(ticket)


class StoreActor:
    """The store's door for all trials of a sweep. Async: thousands may wait at once."""

    def __init__(self, place: str, lease_seconds: float = LEASE_SECONDS):
        self.store = open_store(place)
        self.lease_seconds = lease_seconds
        self.flights: dict[str, Flight] = {}
        self.ready: dict[str, Result] = {}
        self.asking: Counter[tuple[str, str]] = Counter()
        self.starts: dict[str, list[str]] = {}
        self.deaths = 0
        self.hits: Counter[str] = Counter()
        self.misses: Counter[str] = Counter()
        self.routes = Routes()
        self.roster = Roster()

    async def acquire(self, key: str, stage: str, client: str, adapter: str | None = None) -> Ticket:
        """The result if there is one, else leave to compute, else wait for whoever computes it now.

        adapter: the top of the job's student, if it has one.
        """
        self.asking[client, stage] += 1
        try:
            return await self._acquire(key, stage, client, adapter)
        except StoreAway as away:
            return Ticket(away=str(away))
        finally:
            self.asking[client, stage] -= 1

    async def _acquire(self, key: str, stage: str, client: str, adapter: str | None) -> Ticket:
        while True:
            result = self.ready.get(key) or await asyncio.to_thread(self.store.get, key)
            result = result or self.ready.get(key)
            if result is not None:
                self.ready[key] = result
                self._land(key, Ticket(result=result))
                self.hits[stage] += 1
                return Ticket(result=dataclasses.replace(result, hit=True))
            flight = self.flights.get(key)
            if flight is None or flight.client == client or flight.expires <= time.monotonic():
                self._take_off(key, stage, client)
                actor = self.routes.route(key, stage, adapter, self.flights)
                return Ticket(starts=tuple(self.starts.get(key, ())), actor=actor)
            while not flight.landed.done() and (left := flight.expires - time.monotonic()) > 0:
                await asyncio.wait([flight.landed], timeout=left)
            if flight.landed.done() and (ticket := flight.landed.result()) is not None and ticket.error:
                return ticket

    async def serve(self, serving: dict[str, Sequence[Any]]) -> None:
        """Which actors there are for each stage at the moment."""
        self.routes.serving = serving

    def _take_off(self, key: str, stage: str, client: str) -> None:
        """Give the lease to `client`; those who waited for the former holder now wait for this one."""
        former = self.flights.pop(key, None)
        self.flights[key] = Flight(client, stage, time.monotonic() + self.lease_seconds)
        if former is None:
            self.misses[stage] += 1
        else:
            former.land(None)

    async def renew(self, client: str) -> None:
        """A sign of life: all leases of `client` start anew."""
        for flight in self.flights.values():
            if flight.client == client:
                flight.expires = time.monotonic() + self.lease_seconds

    async def done(self, result: Result) -> None:
        """The artefact is in the store; whoever waits for it gets the result."""
        self.ready[result.key] = result
        self.starts.pop(result.key, None)
        self.deaths = 0
        self._land(result.key, Ticket(result=result))

    async def lost(self, key: str) -> None:
        """A reader found that an artefact is gone or damaged: whoever asks for it next looks again, or computes it."""
        self.ready.pop(key, None)
        self.store.forget(key)

    async def failed(self, key: str, message: str) -> None:
        """The job itself cannot finish, for anybody: the waiters are told, and nothing is remembered."""
        self.starts.pop(key, None)
        self._land(key, Ticket(error=message))

    def _land(self, key: str, ticket: Ticket) -> None:
        self.routes.over(key)
        if flight := self.flights.pop(key, None):
            flight.land(ticket)

    async def give_up(self, key: str, client: str) -> None:
        """`client` has had enough of a job that kills its actor; the next in line has a few tries of its own."""
        self.starts.pop(key, None)
        await self.release([key], client)

    async def release(self, keys: Sequence[str], client: str) -> None:
        """`client` gives up what it held without a verdict on the job; the next in line computes."""
        for key in keys:
            if key in self.flights and self.flights[key].client == client:
                self.flights.pop(key).land(None)

    async def started(self, keys: Sequence[str], node: str) -> None:
        """A stage actor begins a batch. Written down, to find the job under which actors die."""
        for key in keys:
            self.starts.setdefault(key, []).append(node)

    async def restarted(self) -> int:
        """A stage actor takes the place of one that died; how many did since a job was last finished."""
        self.deaths += 1
        return self.deaths

    async def post(self, number: int, settings: str) -> None:
        """A trial's settings are known: a process may take it."""
        await self.roster.post(number, settings)

    async def take(self, taker: str) -> tuple[int, str] | None:
        """The number and settings of the trial whose turn it is, when there is one; None for who has left."""
        return await self.roster.take(taker)

    async def leave(self, taker: str) -> int | None:
        """A taker's turn is over; the trial that it had taken."""
        return await self.roster.leave(taker)

    async def progress(self) -> tuple[Place, dict, list[str]]:
        """A sign of life, as a stage actor gives it: where this process is."""
        return here(), {}, []

    async def snapshot(self) -> dict:
        """Hits and misses per stage, which stages each client waits for, which trials were posted, how many actors there
        are for each stage, and what the store has had to say since the last call.
        """
        wanted = Counter((flight.client, flight.stage) for flight in self.flights.values()) + self.asking
        clients: dict[str, dict[str, int]] = {}
        for (client, stage), count in wanted.items():
            clients.setdefault(client, {})[stage] = count
        counts = {"hits": dict(self.hits), "misses": dict(self.misses)}
        serving = {stage: len(actors) for stage, actors in self.routes.serving.items()}
        counts |= {"clients": clients, "posted": self.roster.known, "serving": serving}
        return counts | {"notices": self.store.heard()}
