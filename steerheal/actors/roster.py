"""Who runs which trial: proposed trials stand in line, and a process that has nothing to do takes the next.

So no process waits for a trial that is not proposed yet while one that is, or one whose process died, waits for a
process.
"""

import asyncio


class Roster:
    """A taker is one turn of a trial's process; it takes one trial."""

    def __init__(self) -> None:
        self.waiting: dict[int, str] = {}
        self.taken: dict[str, tuple[int, str]] = {}
        self.gone: dict[str, int | None] = {}
        self.change = asyncio.Condition()

    @property
    def known(self) -> set[int]:
        """The trials that wait or were taken."""
        return {*self.waiting, *(number for number, _ in self.taken.values())}

    async def post(self, number: int, settings: str) -> None:
        """A trial (its settings as JSON) may be taken, with its last settings; one that is taken is not posted again."""
        async with self.change:
            if number not in {taken for taken, _ in self.taken.values()}:
                self.waiting[number] = settings
                self.change.notify_all()

    async def take(self, taker: str) -> tuple[int, str] | None:
        """The trial whose turn it is, when there is one; the same when asked again. None for who has left."""
        async with self.change:
            await self.change.wait_for(lambda: self.waiting or taker in self.taken or taker in self.gone)
            if taker in self.gone:
                return None
            if taker not in self.taken:
                number = next(iter(self.waiting))
                self.taken[taker] = number, self.waiting.pop(number)
            return self.taken[taker]

    async def leave(self, taker: str) -> int | None:
        """A turn is over, perhaps without a word. The trial that it had taken; the same when asked again."""
        async with self.change:
            if taker not in self.gone:
                self.gone[taker], _ = self.taken.pop(taker, (None, ""))
                self.change.notify_all()
            return self.gone[taker]
