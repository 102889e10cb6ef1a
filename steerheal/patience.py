"""Waiting for a disk that is full, or a server that is away: said in one line, and not for ever."""

import time
from collections.abc import Callable
from typing import TypeVar

from steerheal.errors import StoreAway
from steerheal.redact import redacted
from steerheal.yaml_io import one_line

Found = TypeVar("Found")
PATIENCE_SECONDS = 900.0
LONGEST_PAUSE = 15.0


class Patience:
    """Repeats an attempt that ends in one of `trouble` for up to `seconds`, with growing pauses.

    `what` names the store in messages. An object that does not exist is an answer (FileNotFoundError), no trouble,
    where `absence_is_an_answer`.
    """

    def __init__(
        self,
        what: str,
        say: Callable[[str], None],
        seconds: float,
        trouble: type[Exception],
        absence_is_an_answer: bool = False,
    ):
        self.what, self.say, self.seconds, self.trouble = what, say, seconds, trouble
        self.answers: tuple[type[Exception], ...] = (FileNotFoundError,) if absence_is_an_answer else ()
        self.away_since: float | None = None

    def __call__(self, attempt: Callable[[], Found]) -> Found:
        """What `attempt` gives. Raises StoreAway when it still fails after `seconds`."""
        began, pause = time.monotonic(), 1.0
        while True:
            try:
                found = attempt()
            except self.answers:
                self._back()
                raise
            except self.trouble as error:
                if time.monotonic() + pause > began + self.seconds:
                    raise StoreAway(f"store: {self.what}: {_reason(error)}, for {self.seconds:.0f} s") from error
                if self.away_since is None:
                    self.away_since = began
                    self.say(f"store: {self.what}: {_reason(error)}; waiting for it, up to {self.seconds:.0f} s")
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self._back()
                return found

    def _back(self) -> None:
        if self.away_since is not None:
            self.say(f"store: {self.what}: back after {time.monotonic() - self.away_since:.0f} s")
            self.away_since = None


def _reason(error: Exception) -> str:
    """An error in one line, without credentials."""
    said = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
    return one_line(redacted(said), 160).rstrip(".")
