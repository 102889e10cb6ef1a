"""What the engine is asked, and what it answers."""

from dataclasses import dataclass, field

from steerheal.generation.sampling import Sampling
from steerheal.students.rows import Row


@dataclass(frozen=True)
class Request:
    """One row to decode.

    prompt: token ids; stops: ids that end it; suppress: ids that are never drawn; suffix: ids fed after the last
    new token; read: ids whose log-probability is wanted after the suffix; scored: how many of the suffix's last ids
    have their mean negative log-likelihood taken; stop_loops: end the row once it has plainly fallen into a loop.
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
    stop_loops: bool = False

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
    cancelled: bool = False

    @property
    def hit_limit(self) -> bool:
        """Whether no stop came."""
        return self.stop is None

    @property
    def with_stop(self) -> tuple[int, ...]:
        """The ids and the stop, if one came: what a student learns from."""
        return (*self.ids, *(() if self.stop is None else (self.stop,)))
