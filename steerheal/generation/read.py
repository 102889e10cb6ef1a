"""What the next-token distribution says at the end of a row: the log-probabilities of chosen ids."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from steerheal.generation.request import Request
from steerheal.students.base import Base

# Log-probabilities held at once.
CHUNK = {"cpu": 1 << 24, "cuda": 1 << 30}


@dataclass(frozen=True)
class Reading:
    """logprobs of the request's `read` ids after the last fed one; nll: mean over the last `scored` fed ids."""

    logprobs: list[float] | None = None
    nll: float | None = None


def read(base: Base, requests: Sequence[Request], ends: Sequence[int], states: torch.Tensor) -> list[Reading]:
    """One reading per row of states [m, S, d], of which the first `ends[row]` positions were fed.

    The ids that are scored are the last ones of prompt + suffix.
    """
    span = 1 + max(request.scored for request in requests)
    size = max(1, CHUNK.get(base.device.type, CHUNK["cpu"]) // (span * base.head.weight.shape[0]))
    found: list[Reading] = []
    for start in range(0, len(requests), size):
        part = slice(start, start + size)
        found += _read(base, requests[part], ends[part], states[part], span)
    return found


def _read(
    base: Base, requests: Sequence[Request], ends: Sequence[int], states: torch.Tensor, span: int
) -> list[Reading]:
    rows = torch.arange(len(requests), device=states.device)[:, None]
    places = torch.tensor(ends, device=states.device)[:, None] - span + torch.arange(span, device=states.device)
    logp = base.logits(states[rows, places.clamp_min(0)]).log_softmax(-1)
    wanted = _table([request.read for request in requests], states.device)
    fed = _table([_scored(request, span - 1) for request in requests], states.device)
    answers = logp[:, -1].gather(-1, wanted).tolist()
    scores = logp[:, :-1].gather(-1, fed[:, :, None])[:, :, 0].tolist()
    found = []
    for request, answer, score in zip(requests, answers, scores):
        count = request.scored
        nll = -sum(score[span - 1 - count :]) / count if count else None
        found.append(Reading(answer[: len(request.read)], nll))
    return found


def _scored(request: Request, count: int) -> tuple[int, ...]:
    """The last `count` ids fed, padded on the left where only the last `request.scored` count."""
    ids = (request.prompt + request.suffix)[len(request.prompt) + len(request.suffix) - request.scored :]
    return (0,) * (count - request.scored) + ids


def _table(rows: Sequence[Sequence[int]], device: torch.device) -> torch.Tensor:
    width = max(len(row) for row in rows)
    return torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=device, dtype=torch.long)
