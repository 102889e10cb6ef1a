"""The errors that a command turns into one line and an exit code."""


class UserError(Exception):
    """Something the user can fix: the message names the file, the key and the remedy, in one line."""


class StageError(Exception):
    """A stage could not finish for one job; the trial records it as its outcome and the sweep goes on."""
