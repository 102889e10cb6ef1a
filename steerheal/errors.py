"""The errors that a command turns into one line and an exit code."""


class UserError(Exception):
    """Something the user can fix: the message names the file, the key and the remedy, in one line."""


class StageError(Exception):
    """A stage could not finish for one job; the trial records it as its outcome and the sweep goes on."""


class ArtefactLost(StageError):
    """An artefact that a job needs is missing or damaged; `key` names it, so that it can be computed again."""

    def __init__(self, key: str):
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"the artefact {self.key[:12]} is missing or damaged"


class StoreAway(Exception):
    """The store cannot be read or written, and did not come back: what runs is interrupted, not failed."""


def in_a_line(error: Exception) -> str:
    """Its type, and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
