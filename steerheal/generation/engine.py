"""The slot engine: requests with a student, a dose and a random stream each, decoded together.

Active slots lie at the front of the cache; a row that finishes gives its slot to the last active row, and waiting
requests are prefilled into the free ones, so neither padding nor finished rows are decoded.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch

from steerheal.generation.kv import SlotCache
from steerheal.generation.sampling import Sampler, Sampling
from steerheal.generation.streams import uniforms
from steerheal.students.attention import Sight
from steerheal.students.base import Base, Plan
from steerheal.students.batching import batches, pad, sight_of
from steerheal.students.rows import GroupedAdapters, Row, Steered


@dataclass(frozen=True)
class Request:
    """One row to decode.

    prompt: token ids; stops: ids that end it; suppress: ids that are never drawn; suffix: ids fed after the last
    new token; read: ids whose log-probability is wanted after the suffix; scored: how many of the suffix's last ids
    have their mean negative log-likelihood taken.
    """

    prompt: tuple[int, ...]
    row: Row
    max_new_tokens: int
    stream: int = 0
    sampling: Sampling = Sampling()
    steer_prompt: bool = True
    stops: tuple[int, ...] = ()
    suppress: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()
    read: tuple[int, ...] = ()
    scored: int = 0

    @property
    def length(self) -> int:
        """Positions that the row needs."""
        return len(self.prompt) + self.max_new_tokens + len(self.suffix)


@dataclass
class Completion:
    """New token ids (without the stop); read: log-probabilities after the suffix; nll: of its scored ids."""

    ids: list[int] = field(default_factory=list)
    stop: int | None = None
    read: list[float] | None = None
    nll: float | None = None

    @property
    def hit_limit(self) -> bool:
        """Whether no stop came."""
        return self.stop is None

    @property
    def with_stop(self) -> tuple[int, ...]:
        """The ids and the stop, if one came: what a student learns from."""
        return (*self.ids, *(() if self.stop is None else (self.stop,)))


@dataclass
class _Slot:
    place: int
    request: Request
    completion: Completion
    position: int
    token: int = 0


class Engine:
    """Decodes requests on one base, at most `slots` at a time."""

    def __init__(self, base: Base, slots: int = 64):
        self.base = base
        self.slots = slots

    @torch.inference_mode()
    def run(self, requests: Sequence[Request], on_tokens: Callable[[int], None] = lambda count: None) -> list[Completion]:
        """Completions in the order of `requests`; `on_tokens` hears how many tokens each step made."""
        if not requests:
            return []
        run = _Run(self.base, requests, min(self.slots, len(requests)))
        while run.busy:
            on_tokens(run.step())
        return [run.done[place] for place in range(len(requests))]


class _Run:
    """The state of one call of the engine."""

    def __init__(self, base: Base, requests: Sequence[Request], slots: int):
        self.base, self.slots = base, slots
        order = sorted(range(len(requests)), key=lambda p: (str(requests[p].row.student.name), len(requests[p].prompt)))
        self.waiting = deque((place, requests[place]) for place in order)
        self.cache = SlotCache(base, slots, max(request.length for request in requests))
        self.active: list[_Slot] = []
        self.done: dict[int, Completion] = {}
        self._rows: _Rows | None = None

    @property
    def busy(self) -> bool:
        """Whether anything is left to do."""
        return bool(self.waiting or self.active)

    def step(self) -> int:
        """Refill free slots, or decode one token for every active row; returns how many tokens were made."""
        free = self.slots - len(self.active)
        if self.waiting and free >= min(len(self.waiting), max(1, self.slots // 8)):
            return self._refill(free)
        return self._decode()

    def _refill(self, free: int) -> int:
        taken = [self.waiting.popleft() for _ in range(min(free, len(self.waiting)))]
        made = 0
        for group in batches([len(request.prompt) for _, request in taken], self.base.device):
            made += self._prefill([taken[place] for place in group])
        self._retire()
        return made

    def _prefill(self, taken: list[tuple[int, Request]]) -> int:
        fresh = [_Slot(place, request, Completion(), len(request.prompt)) for place, request in taken]
        # Without a token to draw, the suffix belongs to the prompt.
        fed = [r.prompt + (r.suffix if r.max_new_tokens == 0 else ()) for _, r in taken]
        ids = pad(fed, self.base.device)
        rows = _Rows(self.base, fresh)
        positions = ids.new_tensor([float(r.steer_prompt) for _, r in taken], dtype=self.base.dtype)[:, None]
        plan = rows.plan(None if positions.all() else positions.expand(ids.shape))
        cache = self.cache.prefill(len(self.active), len(fresh))
        states = self.base.hidden(ids, plan, sight_of(ids), cache)
        drawing = [number for number, slot in enumerate(fresh) if slot.request.max_new_tokens > 0]
        for number, slot in enumerate(fresh):
            if slot.request.max_new_tokens == 0:
                self._read(slot, fed[number], states[number])
        if drawing:
            last = torch.stack([states[number, fresh[number].position - 1] for number in drawing])
            _Rows(self.base, [fresh[number] for number in drawing]).draw(last)
        self.active += fresh
        self._rows = None
        return len(drawing)

    def _decode(self) -> int:
        active = self.active
        if self._rows is None:
            self._rows = _Rows(self.base, active)
        ids = torch.tensor([[slot.token] for slot in active], device=self.base.device)
        positions = torch.tensor([[slot.position] for slot in active], device=self.base.device)
        keys = max(slot.position for slot in active) + 1
        states = self.base.hidden(
            ids, self._rows.plan(), Sight(positions, keys), self.cache.decode(positions[:, 0], keys)
        )
        for slot in active:
            slot.position += 1
        self._rows.draw(states[:, 0])
        self._retire()
        return len(active)

    def _retire(self) -> None:
        """Read the finished rows' suffixes and give their slots to the last active rows."""
        finished = [number for number, slot in enumerate(self.active) if _finished(slot)]
        if not finished:
            return
        self._extend([n for n in finished if self.active[n].request.suffix and self.active[n].completion.read is None])
        for number in reversed(finished):
            slot = self.active[number]
            self.done[slot.place] = slot.completion
            last = self.active.pop()
            if number < len(self.active):
                self.cache.move(len(self.active), number)
                self.active[number] = last
        self._rows = None

    def _extend(self, numbers: list[int]) -> None:
        """Feed the last drawn token and the suffix of the slots `numbers`, and read what follows."""
        for group in batches([len(self.active[n].request.suffix) + 1 for n in numbers], self.base.device):
            slots = [self.active[numbers[place]] for place in group]
            fed = [(slot.token, *slot.request.suffix) for slot in slots]
            ids = pad(fed, self.base.device)
            starts = torch.tensor([slot.position for slot in slots], device=self.base.device)
            reach = torch.arange(ids.shape[1], device=self.base.device)
            # Padding past a row's own end would leave the cache; its position is clamped, its result unused.
            positions = (starts[:, None] + reach).clamp_max(self.cache.k[0].shape[2] - 1)
            keys = int(positions.max()) + 1
            index = torch.tensor([numbers[place] for place in group], device=self.base.device)
            cache = self.cache.extend(index, positions, keys)
            states = self.base.hidden(ids, _Rows(self.base, slots).plan(), Sight(positions, keys), cache)
            for number, slot in enumerate(slots):
                self._read(slot, fed[number], states[number])

    def _read(self, slot: _Slot, fed: Sequence[int], states: torch.Tensor) -> None:
        """Log-probabilities after the last of `fed` [c], and the nll of its last `scored` ids; states [c', d]."""
        request, end = slot.request, len(fed)
        wanted = states[end - 1 - request.scored : end]
        logp = self.base.logits(wanted).log_softmax(-1)
        if request.scored:
            targets = torch.tensor(fed[end - request.scored :], device=logp.device)
            slot.completion.nll = -logp[:-1].gather(-1, targets[:, None]).mean().item()
        slot.completion.read = logp[-1, list(request.read)].tolist()


def _finished(slot: _Slot) -> bool:
    return not slot.completion.hit_limit or len(slot.completion.ids) >= slot.request.max_new_tokens


class _Rows:
    """Tensors that depend only on which rows are active."""

    def __init__(self, base: Base, slots: list[_Slot]):
        self.base, self.members = base, list(slots)
        requests = [slot.request for slot in slots]
        rows = [request.row for request in requests]
        device = base.device
        self.adapters = None
        if any(row.student.adapter is not None for row in rows):
            self.adapters = GroupedAdapters([row.student for row in rows], device)
        self.steer = Steered.of(rows, device, base.dtype)
        self.sampler = Sampler([request.sampling for request in requests], device)
        self.keys = torch.tensor([request.stream for request in requests], device=device)
        banned = [(number, token) for number, r in enumerate(requests) for token in r.suppress]
        self.banned = tuple(torch.tensor(side, device=device) for side in zip(*banned)) if banned else None

    def plan(self, positions: torch.Tensor | None = None) -> Plan:
        """A fresh plan for one pass; positions [B, S] is 0 where prompts are not steered."""
        steer = self.steer and replace(self.steer, positions=positions, fired=set())
        return Plan(adapters=self.adapters, steer=steer)

    def draw(self, states: torch.Tensor) -> None:
        """Draw each member's next token from states [n, d] and note it, or note that the row stopped."""
        logits = self.base.logits(states)
        if self.banned is not None:
            logits[self.banned] = -torch.inf
        draws = torch.tensor([len(slot.completion.ids) for slot in self.members], device=logits.device)
        tokens = self.sampler.draw(logits, uniforms(self.keys, draws)).tolist()
        for slot, token in zip(self.members, tokens):
            slot.token = token
            if token in slot.request.stops:
                slot.completion.stop = token
            else:
                slot.completion.ids.append(token)
