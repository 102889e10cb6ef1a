"""What becomes of a judgement: a verdict or a recorded failure, each with what it cost."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Usage:
    """Requests sent, and tokens in and out as the endpoint reports them; `unreported` replies told none."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unreported: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.unreported + other.unreported,
        )


@dataclass(frozen=True)
class Judgement:
    """`given`: what the judge said of each dimension; `cached`: an earlier run's, whose usage this is."""

    given: dict[str, Any]
    reason: str
    usage: Usage = field(default_factory=Usage)
    cached: bool = False


@dataclass(frozen=True)
class Failure:
    """A judgement that could not be had: `kind` (one of a few words, to count by) and `detail` (one line)."""

    kind: str
    detail: str
    usage: Usage = field(default_factory=Usage)


class Stopped(Exception):
    """The run was interrupted while a request waited for its next attempt."""
