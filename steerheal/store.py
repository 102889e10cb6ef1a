"""The content-addressed store: whole artefacts or none, verified when they are first read.

A backend keeps them in a folder (`FolderStore`) or behind a URL (`object_store.UrlStore`). What does not verify is
treated as missing, said in one line, and computed again; a store that is away is waited for.
"""

import contextlib
import os
import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from steerheal.artefact import MANIFEST, Damaged, check_file, describe, read_manifest
from steerheal.errors import ArtefactLost, UserError
from steerheal.files import sync_folder, write_bytes
from steerheal.jobs import Result
from steerheal.patience import PATIENCE_SECONDS, Patience

# What a killed process may leave aside is removed when nobody can be writing it any more.
STALE_SECONDS = 3600.0


class Store(ABC):
    """What every backend promises. All methods may be called from any thread.

    All but `check` wait for a store that is away, and raise StoreAway when it does not come back.
    """

    def __init__(self) -> None:
        self.notices: deque[str] = deque(maxlen=100)

    @abstractmethod
    def get(self, key: str) -> Result | None:
        """The finished artefact's summary; None when it is absent or damaged."""

    @abstractmethod
    def put(self, key: str, stage: str, files: Mapping[str, bytes], summary: dict, seconds: float) -> Result:
        """Store an artefact whole. Of two writers of one key one wins.

        Raises ValueError for a summary or tensors that are not finite.
        """

    @abstractmethod
    def folder(self, key: str) -> Path:
        """Where this node can read the files of an artefact, whole. Raises ArtefactLost when it is not there."""

    @abstractmethod
    def check(self) -> None:
        """Before a sweep: UserError, in one line, when this process could not read and write here."""

    @abstractmethod
    def forget(self, key: str) -> None:
        """Verify an artefact again before it is next read."""

    def say(self, line: str) -> None:
        """A line for whoever looks at this process, and for `heard`."""
        self.notices.append(line)
        print(line, flush=True)

    def heard(self) -> list[str]:
        """What was said since the last call."""
        return [self.notices.popleft() for _ in range(len(self.notices))]


class FolderStore(Store):
    """Artefacts below one folder of a local or shared file system: `root/ab/abcdef…/` holds one's files and manifest.

    It is written in a folder aside, synced and renamed, so a reader never sees half of it. `damaged` tells what
    becomes of an artefact that is not whole.
    """

    def __init__(
        self,
        root: Path | str,
        patience: float = PATIENCE_SECONDS,
        damaged: str = "it will be computed again",
    ):
        super().__init__()
        self.root = Path(root)
        self.damaged = damaged
        self.patiently = Patience(str(root), lambda line: self.say(line), patience, OSError)
        self._checked: set[str] = set()
        self._clear_stale()

    def get(self, key: str) -> Result | None:
        """The finished artefact's summary, or None. A damaged artefact is set aside."""
        return self.patiently(lambda: self._get(key))

    def put(self, key: str, stage: str, files: Mapping[str, bytes], summary: dict, seconds: float) -> Result:
        """Store an artefact atomically; a full disk keeps what was there, and nothing else."""
        manifest = describe(stage, files, summary, seconds)
        return self.patiently(lambda: self._put(key, {**files, MANIFEST: manifest}))

    def folder(self, key: str) -> Path:
        """Where an artefact lies."""
        place = self._place(key)
        if (key in self._checked and (place / MANIFEST).exists()) or self.get(key):
            return place
        raise ArtefactLost(key)

    def check(self) -> None:
        """The folder, or else the nearest one above it, can be written."""
        nearest = next(place for place in (self.root, *self.root.parents) if place.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise UserError(f"{self.root}: the stage store cannot be written: check {nearest}")

    def forget(self, key: str) -> None:
        """See `Store`."""
        self._checked.discard(key)

    def remove(self, key: str) -> None:
        """Make room for another version of an artefact."""
        self.forget(key)
        shutil.rmtree(self._place(key), ignore_errors=True)

    def _place(self, key: str) -> Path:
        return self.root / key[:2] / key

    def _get(self, key: str) -> Result | None:
        place = self._place(key)
        try:
            seen = place.stat().st_ino
        except FileNotFoundError:
            return None
        try:
            manifest = read_manifest((place / MANIFEST).read_bytes())
            if key not in self._checked:
                for name, digest in manifest["files"].items():
                    check_file(name, (place / name).read_bytes(), digest)
        except FileNotFoundError:
            self._set_aside(key, seen, "a file is missing")
            return None
        except Damaged as damage:
            self._set_aside(key, seen, str(damage))
            return None
        self._checked.add(key)
        return Result(key, manifest["stage"], manifest["summary"], manifest["seconds"], hit=True)

    def _put(self, key: str, files: Mapping[str, bytes]) -> Result:
        place = self._place(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=self.root, prefix=".part-"))
        try:
            for name, payload in files.items():
                write_bytes(aside / name, payload)
            try:
                os.rename(aside, place)
            except OSError:
                # Another writer was first; what it wrote counts, if it is whole.
                if self._get(key) is None:
                    os.rename(aside, place)
            sync_folder(place.parent)
            sync_folder(self.root)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        manifest = read_manifest((place / MANIFEST).read_bytes())
        return Result(key, manifest["stage"], manifest["summary"], manifest["seconds"], hit=False)

    def _set_aside(self, key: str, seen: int, damage: str) -> None:
        """Move a damaged artefact out of the way, and say so; `seen` is its folder's inode. Where that is no longer in
        its place, another reader has done so, and a writer may have put it anew.
        """
        self._checked.discard(key)
        shelf = self.root / ".damaged"
        shelf.mkdir(exist_ok=True)
        target = Path(tempfile.mkdtemp(dir=shelf, prefix=f"{key[:12]}-"))
        with contextlib.suppress(FileNotFoundError):
            if self._place(key).stat().st_ino == seen:
                os.rename(self._place(key), target / key)
                self.say(f"store: {self._place(key)}: {damage}; moved to {target}, {self.damaged}")
        with contextlib.suppress(OSError):
            target.rmdir()

    def _clear_stale(self) -> None:
        for aside in self.root.glob(".part-*"):
            with contextlib.suppress(OSError):
                if time.time() - aside.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(aside, ignore_errors=True)


def open_store(place: str | Path, patience: float = PATIENCE_SECONDS) -> Store:
    """The store at a path or a URL. Raises UserError for a URL that no installed package can open."""
    if "://" not in str(place):
        return FolderStore(place, patience)
    from steerheal.object_store import UrlStore

    return UrlStore(str(place), patience=patience)
