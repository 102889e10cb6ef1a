"""The state of a run as tensors, and the one step that decodes a token for the first n slots.

A slot holds the number of its request; everything that a request brings (dose, vector, student, stream, sampling,
stops) and everything that it becomes (token, position, tokens drawn) lies in tables by request. So a slot changes
hands by one number, a step needs nothing from the host, and on a GPU the same step can be captured and replayed.
The last line of every table belongs to nobody: an empty slot points there, and it is done from the start.
"""

from collections.abc import Sequence

import torch

from steerheal.generation.kv import SlotCache
from steerheal.generation.request import Request
from steerheal.generation.sampling import Sampler
from steerheal.generation.streams import uniforms
from steerheal.students.attention import Sight
from steerheal.students.base import Adapters, Base, Plan
from steerheal.students.rows import Row, Steered, Student

# A loop: the last LOOPED tokens repeat with a period of at most LOOP_PERIOD.
LOOPED, LOOP_PERIOD = 64, 8


class Deck:
    """Tables [R + 1, …] of the requests of one run, and the cache of their slots.

    which [B]: each slot's request; token, position, drawn, done [R + 1]; out [R + 1, longest]: the tokens drawn.
    """

    def __init__(self, base: Base, requests: Sequence[Request], slots: int):
        device = base.device
        nobody = Request((0,), Row(Student(None)), 1)
        listed = [*requests, nobody]
        self.base, self.nobody = base, len(requests)
        self.cache = SlotCache(base, slots, max(request.length for request in listed))
        numbers = lambda values: torch.tensor(list(values), device=device)  # noqa: E731
        self.which = torch.full((slots,), self.nobody, device=device)
        self.limit = numbers(request.max_new_tokens for request in listed)
        self.stream = numbers(request.stream for request in listed)
        self.position = numbers(len(request.prompt) for request in listed)
        self.token = torch.zeros_like(self.position)
        self.drawn = torch.zeros_like(self.position)
        self.done = torch.zeros_like(self.position, dtype=torch.bool)
        self.done[self.nobody] = True
        self.out = torch.zeros(len(listed), max(r.max_new_tokens for r in listed), device=device, dtype=torch.long)
        self.steer = Steered.of([request.row for request in listed], device, base.dtype)
        self.sampler = Sampler([request.sampling for request in listed], device)
        self.stops = _Listed([request.stops for request in listed], device)
        self.banned = _Listed([request.suppress for request in listed], device)
        self.loops = numbers(r.stop_loops for r in listed) if any(r.stop_loops for r in listed) else None

    def step(self, slots: int, keys: int, adapters: Adapters | None) -> None:
        """Draw one token for the first `slots` slots; cached positions up to `keys` are read.

        A row that is done is fed its last token again at the same place, which changes nothing.
        """
        which = self.which[:slots]
        positions = self.position[which]
        steer = self.steer and self.steer.rows(which)
        states = self.base.hidden(
            self.token[which][:, None],
            Plan(adapters=adapters, steer=steer),
            Sight(positions[:, None], keys),
            self.cache.decode(positions, keys),
        )
        self.position[which] = positions + ~self.done[which]
        self.draw(which, states[:, 0])

    def draw(self, which: torch.Tensor, states: torch.Tensor) -> None:
        """Draw the next token of requests `which` [n] from states [n, d], unless they are done."""
        logits = self.base.raw_logits(states)
        if self.banned.ids is not None:
            held = logits[:, self.banned.ids]
            logits[:, self.banned.ids] = held.masked_fill(self.banned.rows[which], -torch.inf)
        drawn, done = self.drawn[which], self.done[which]
        token = self.sampler.draw(logits, uniforms(self.stream[which], drawn), which)
        token = torch.where(done, self.token[which], token)
        place = drawn.clamp_max(self.out.shape[1] - 1)
        self.out[which, place] = torch.where(done, self.out[which, place], token)
        drawn = drawn + ~done
        done = done | (drawn >= self.limit[which])
        if self.stops.ids is not None:
            done = done | ((token[:, None] == self.stops.ids) & self.stops.rows[which]).any(-1)
        self.token[which], self.drawn[which] = token, drawn
        if self.loops is not None:
            done = done | (self.loops[which] & self._looping(which, drawn))
        self.done[which] = done

    def _looping(self, which: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        """Whether the last LOOPED tokens of each row repeat with some period up to LOOP_PERIOD."""
        span = torch.arange(LOOPED + LOOP_PERIOD, device=which.device)
        recent = self.out[which[:, None], (drawn[:, None] - 1 - span).clamp_min(0)]
        again = [(recent[:, :LOOPED] == recent[:, p : p + LOOPED]).all(-1) for p in range(1, LOOP_PERIOD + 1)]
        return torch.stack(again).any(0) & (drawn >= LOOPED + LOOP_PERIOD)


class _Listed:
    """Which of some ids each request names: ids [m] and rows [R + 1, m], or None when no request names any."""

    def __init__(self, named: Sequence[tuple[int, ...]], device: torch.device):
        every = sorted({token for tokens in named for token in tokens})
        self.ids = torch.tensor(every, device=device) if every else None
        self.rows = torch.tensor([[token in tokens for token in every] for tokens in named], device=device)
