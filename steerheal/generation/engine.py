"""The slot engine: requests with a student, a dose and a random stream each, decoded together.

A slot that finishes is refilled at once from the requests that wait; when none wait, the rows that are left move to
the front, so neither padding nor finished rows are decoded. Results do not depend on the number of slots, on what
shared a batch, or on whether the step was replayed from a graph.
"""

import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence

import torch

from steerheal.generation.deck import Deck
from steerheal.generation.kv import slot_bytes
from steerheal.generation.read import Reading, read
from steerheal.generation.replay import Plain, Replayed
from steerheal.generation.request import Completion, Request
from steerheal.students.attention import Sight
from steerheal.students.base import Base, Plan
from steerheal.students.batching import batches, pad, sight_of
from steerheal.students.rows import GroupedAdapters

# The share of free GPU memory that keys and values may take; activations and graphs live in the rest.
MEMORY = 0.6
# Ranks that one masked product may hold side by side; beyond, students take turns.
RANKS = 1024


class Engine:
    """Decodes requests on one base, at most `slots` at a time."""

    def __init__(self, base: Base, slots: int = 64):
        self.base = base
        self.slots = slots
        # Seconds that went into capturing graphs.
        self.capturing = 0.0

    @torch.inference_mode()
    def run(
        self,
        requests: Sequence[Request],
        on_tokens: Callable[[int], None] = lambda count: None,
        cancelled: Collection[int] = (),
    ) -> list[Completion]:
        """Completions in the order of `requests`; `on_tokens` hears how many tokens each step made.

        Places of `requests` that the caller adds to `cancelled` while it runs are given up.
        """
        found: dict[int, Completion] = {}
        for places in self._parties(requests):
            given_up = _Within(cancelled, places)
            made = self._run([requests[place] for place in places], on_tokens, given_up)
            found |= dict(zip(places, made))
        return [found[place] for place in range(len(requests))]

    def _run(self, requests: list[Request], on_tokens, cancelled) -> list[Completion]:
        """One run; when memory runs out, it is begun again with half the slots: its streams make it the same."""
        slots = min(self.slots, len(requests), self._affordable(requests))
        while True:
            try:
                run = _Run(self.base, requests, slots, cancelled)
                while run.busy:
                    on_tokens(run.step())
                self.capturing += run.stepper.capturing
                return run.completions()
            except torch.OutOfMemoryError:
                if slots == 1:
                    raise
                slots //= 2
                warnings.warn(f"out of GPU memory: going on with {slots} slots")
            run = None
            torch.cuda.empty_cache()

    def _affordable(self, requests: Sequence[Request]) -> int:
        if self.base.device.type != "cuda":
            return len(requests)
        unused = torch.cuda.memory_reserved(self.base.device) - torch.cuda.memory_allocated(self.base.device)
        free = torch.cuda.mem_get_info(self.base.device)[0] + unused
        return max(1, int(free * MEMORY) // slot_bytes(self.base, max(request.length for request in requests)))

    def _parties(self, requests: Sequence[Request]) -> Iterator[list[int]]:
        """Places by student; on a GPU, as many students together as their ranks allow."""
        ranks = {r.row.student.name: r.row.student.adapter.rank for r in requests if r.row.student.adapter is not None}
        party: list[int] = []
        students, total = set(), 0
        for place in sorted(range(len(requests)), key=lambda place: str(requests[place].row.student.name)):
            name = requests[place].row.student.name
            added = 0 if name in students else ranks.get(name, 0)
            if party and added and total + added > RANKS and self.base.device.type == "cuda":
                yield party
                party, students, total, added = [], set(), 0, ranks[name]
            party.append(place)
            students.add(name)
            total += added
        if party:
            yield party


class _Within:
    """Those of the cancelled places that belong to a party, by their number in it."""

    def __init__(self, cancelled: Collection[int], places: list[int]):
        self.cancelled, self.numbers = cancelled, {place: number for number, place in enumerate(places)}

    def __call__(self) -> set[int]:
        return {self.numbers[place] for place in self.cancelled if place in self.numbers}


class _Run:
    """The state of one run on the host: who waits, who holds which slot, what has been read."""

    def __init__(self, base: Base, requests: list[Request], slots: int, cancelled: Callable[[], set[int]]):
        self.base, self.requests, self.cancelled = base, requests, cancelled
        self.deck = Deck(base, requests, slots)
        self.waiting = deque(sorted(range(len(requests)), key=self._turn))
        self.slots: list[int | None] = [None] * slots
        # An upper bound of each slot's position: what is done is known late.
        self.reach = [0] * slots
        self.readings: dict[int, Reading] = {}
        self.given_up: set[int] = set()
        self.lazy = base.device.type == "cuda"
        self._adapters: tuple[int, GroupedAdapters | None] | None = None
        if self.lazy:
            self.stepper = Replayed(self.deck, [request.row.student for request in requests])
        else:
            self.stepper = Plain(self.deck)

    def _turn(self, number: int) -> tuple:
        """The longest first, so that the last slots empty together; students together, so that rows lie together."""
        request = self.requests[number]
        return -request.max_new_tokens, str(request.row.student.name), len(request.prompt)

    @property
    def busy(self) -> bool:
        """Whether anything is left to do."""
        return bool(self.waiting) or any(held is not None for held in self.slots)

    def step(self) -> int:
        """Refill free slots, or decode one token for every held one; returns how many tokens were made."""
        self._give_up()
        free = [slot for slot, held in enumerate(self.slots) if held is None]
        if self.waiting and len(free) >= min(len(self.waiting), max(1, len(self.slots) // 8)):
            return self._refill(free)
        held = len(self.slots) - len(free)
        if not held:
            return 0
        last = max(slot for slot, request in enumerate(self.slots) if request is not None)
        self.stepper(self.stepper.size(last + 1), max(self.reach) + 1, self._grouped_slots)
        self.reach = [reach + 1 if request is not None else 0 for reach, request in zip(self.reach, self.slots)]
        self._retire(self.stepper.done())
        return held

    def completions(self) -> list[Completion]:
        """In the order of the requests."""
        made = []
        for request, row, count in zip(self.requests, self.deck.out.tolist(), self.deck.drawn.tolist()):
            ids = row[:count]
            stop = ids.pop() if ids and ids[-1] in request.stops else None
            reading = self.readings.get(len(made), Reading())
            made.append(Completion(ids, stop, reading.logprobs, reading.nll, len(made) in self.given_up))
        return made

    def _give_up(self) -> None:
        """Cancelled requests leave their slots, or never get one."""
        left = [request for request in self.cancelled() - self.given_up if request not in self.readings]
        if left:
            self.given_up.update(left)
            self.deck.done[torch.tensor(left, device=self.base.device)] = True
            self.waiting = deque(request for request in self.waiting if request not in self.given_up)
            self._free([slot for slot, held in enumerate(self.slots) if held in self.given_up])

    def _refill(self, free: list[int]) -> int:
        taken = [self.waiting.popleft() for _ in range(min(len(free), len(self.waiting)))]
        made = 0
        for group in batches([len(self.requests[r].prompt) for r in taken], self.base.device):
            made += self._prefill([free[place] for place in group], [taken[place] for place in group])
        self._adapters = None
        self._retire(self.deck.done.tolist())
        return made

    def _prefill(self, slots: list[int], taken: list[int]) -> int:
        """Feed the prompts of requests `taken` into `slots`, and draw their first tokens."""
        requests = [self.requests[r] for r in taken]
        # Without a token to draw, the suffix belongs to the prompt.
        fed = [r.prompt + (r.suffix if r.max_new_tokens == 0 else ()) for r in requests]
        ids = pad(fed, self.base.device)
        which = torch.tensor(taken, device=self.base.device)
        places = torch.tensor(slots, device=self.base.device)
        plan = self._plan(taken, self._steered(requests, ids))
        states = self.base.hidden(ids, plan, sight_of(ids), self.deck.cache.prefill(places))
        self.deck.which[places] = which
        for slot, request in zip(slots, taken):
            self.slots[slot], self.reach[slot] = request, len(self.requests[request].prompt)
        only_read = [n for n, request in enumerate(requests) if request.max_new_tokens == 0]
        if only_read:
            self.deck.done[which[only_read]] = True
            asked, ends = [requests[n] for n in only_read], [len(fed[n]) for n in only_read]
            found = read(self.base, asked, ends, states[only_read])
            self.readings |= dict(zip([taken[n] for n in only_read], found))
        drawing = [n for n, request in enumerate(requests) if request.max_new_tokens > 0]
        if drawing:
            ends = torch.tensor([len(fed[n]) - 1 for n in drawing], device=self.base.device)
            self.deck.draw(which[drawing], states[drawing, ends])
        return len(drawing)

    def _steered(self, requests: list[Request], ids: torch.Tensor) -> torch.Tensor | None:
        """Where ids [B, S] are steered: from the end of the prompt, where it is not itself; None: everywhere."""
        if all(request.steer_prompt for request in requests):
            return None
        first = [0 if request.steer_prompt else len(request.prompt) for request in requests]
        places = torch.arange(ids.shape[1], device=self.base.device)
        return places >= torch.tensor(first, device=self.base.device)[:, None]

    def _retire(self, done: list[bool]) -> None:
        """Read the finished rows' suffixes and free their slots; on a GPU, only when enough have gathered."""
        finished = [slot for slot, held in enumerate(self.slots) if held is not None and done[held]]
        held = sum(request is not None for request in self.slots)
        if not finished or self.lazy and len(finished) < max(1, held // 8):
            return
        unread = [slot for slot in finished if self._unread(self.slots[slot])]
        for group in batches([len(self.requests[self.slots[slot]].suffix) + 1 for slot in unread], self.base.device):
            self._extend([unread[place] for place in group])
        self._free(finished)

    def _unread(self, request: int) -> bool:
        return bool(self.requests[request].suffix) and request not in self.readings

    def _extend(self, slots: list[int]) -> None:
        """Feed the last drawn token and the suffix of `slots`, and read what follows."""
        held = [self.slots[slot] for slot in slots]
        requests = [self.requests[request] for request in held]
        which = torch.tensor(held, device=self.base.device)
        ids = pad([(0, *request.suffix) for request in requests], self.base.device)
        ids[:, 0] = self.deck.token[which]
        reach = self.deck.position[which][:, None] + torch.arange(ids.shape[1], device=self.base.device)
        # Padding past a row's own end would leave the cache; its position is clamped, its result unused.
        positions = reach.clamp_max(self.deck.cache.length - 1)
        keys = int(positions.max()) + 1
        cache = self.deck.cache.extend(torch.tensor(slots, device=self.base.device), positions, keys)
        states = self.base.hidden(ids, self._plan(held), Sight(positions, keys), cache)
        found = read(self.base, requests, [len(request.suffix) + 1 for request in requests], states)
        self.readings |= dict(zip(held, found))

    def _free(self, slots: list[int]) -> None:
        """Empty `slots`; where fewer rows fit a smaller step, the last ones move into the gaps."""
        for slot in slots:
            self.slots[slot] = None
        held = [slot for slot, request in enumerate(self.slots) if request is not None]
        gaps = [slot for slot in range(len(held)) if self.slots[slot] is None]
        if held and gaps and self.stepper.size(len(held)) < self.stepper.size(held[-1] + 1):
            sources = held[-len(gaps) :]
            self.deck.cache.move(*(torch.tensor(side, device=self.base.device) for side in (sources, gaps)))
            for source, gap in zip(sources, gaps):
                self.slots[gap], self.reach[gap] = self.slots[source], self.reach[source]
                self.slots[source] = None
        which = [self.deck.nobody if request is None else request for request in self.slots]
        # Through pinned memory the host need not wait for the step in flight.
        self.deck.which.copy_(torch.tensor(which, pin_memory=self.lazy), non_blocking=True)
        self._adapters = None

    def _plan(self, held: list[int], positions: torch.Tensor | None = None) -> Plan:
        """The plan of an eager pass over requests `held`; positions [B, S] is false where a row is not steered."""
        steer = self.deck.steer and self.deck.steer.rows(torch.tensor(held, device=self.base.device), positions)
        return Plan(adapters=self._grouped(held), steer=steer)

    def _grouped(self, held: Sequence[int | None]) -> GroupedAdapters | None:
        students = [None if request is None else self.requests[request].row.student for request in held]
        if not any(student is not None and student.adapter is not None for student in students):
            return None
        return GroupedAdapters(students, self.base.device)

    def _grouped_slots(self, slots: int) -> GroupedAdapters | None:
        """The adapters of the first slots, built anew only when a slot has changed hands."""
        if self._adapters is None or self._adapters[0] != slots:
            self._adapters = slots, self._grouped(self.slots[:slots])
        return self._adapters[1]
