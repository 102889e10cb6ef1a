"""What killed processes leave behind, half written, and how to tell it from what somebody is writing now."""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from steerheal.errors import UserError

# What is being written has this prefix until it is whole and renamed (`files`, `store`).
PART = ".part-"
IN_USE = ".in-use"


def remove_parts(folder: Path) -> None:
    """Remove what is half written in a folder to which nobody else writes."""
    for part in folder.glob(f"{PART}*"):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def use_store(root: Path) -> Iterator[None]:
    """Say that this process and its actors write to a stage store.

    Who comes when, or goes after, nobody else does removes what killed writers have left. Where files cannot be locked
    it stays.
    """
    root.mkdir(parents=True, exist_ok=True)
    with open(root / IN_USE, "ab") as handle:
        _clean_alone(root, handle)
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        try:
            yield
        finally:
            _clean_alone(root, handle)


def _clean_alone(root: Path, handle: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_parts(root)


def hold(path: Path, taken: str) -> IO[bytes]:
    """A file that this process alone holds, while the handle is open; UserError(`taken`) when another one does, or when
    it cannot be written to.
    """
    try:
        handle = open(path, "rb+")
    except OSError as error:
        raise UserError(f"{path}: cannot be written to ({error.strerror}); it has to be, to go on") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise UserError(taken) from None
    except OSError:
        # A file system without locks.
        pass
    return handle
