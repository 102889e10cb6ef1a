"""A store behind a URL: any file system that fsspec knows (s3://, gs://, abfs://, sftp://, file://, …).

Below the URL lie `KEY.DIGEST.NAME` per file and `KEY.json`, the manifest. The files are written first and the manifest
last: it is the commit. A file's object is named by its content, so two writers of one artefact never mix, and nothing
is renamed, since object stores cannot do that atomically. A node reads an artefact once, into a folder of its own.
"""

import contextlib
import fcntl
import hashlib
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from steerheal.artefact import MANIFEST, Damaged, check_file, read_manifest
from steerheal.errors import ArtefactLost, StoreAway, UserError
from steerheal.jobs import Result
from steerheal.patience import PATIENCE_SECONDS, Patience
from steerheal.redact import redacted
from steerheal.store import FolderStore, Store
from steerheal.yaml_io import one_line


def node_cache(url: str) -> Path:
    """Where this node keeps what it has read from or written to a URL; may be removed when no sweep runs."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "steerheal" / "store" / hashlib.sha256(url.encode()).hexdigest()[:16]


class UrlStore(Store):
    """Artefacts below a URL. `cache`: the node's folder, shared by its processes."""

    def __init__(self, url: str, cache: Path | None = None, patience: float = PATIENCE_SECONDS):
        super().__init__()
        self.shown = redacted(url)
        self.files, self.root = _open(url, self.shown)
        self.cache = FolderStore(cache or node_cache(url), patience, "it will be read again")
        self.cache.notices = self.notices
        self.patiently = Patience(self.shown, lambda line: self.say(line), patience, Exception, True)

    def get(self, key: str) -> Result | None:
        """The finished artefact's summary, or None; its files are on this node then."""
        try:
            text = self._read(f"{key}.json")
        except FileNotFoundError:
            return None
        try:
            manifest = read_manifest(text)
            self._bring(key, text, manifest)
        except Damaged as damage:
            self.say(f"store: {self.shown}: {key}: {damage}; it will be computed again")
            return None
        return Result(key, manifest["stage"], manifest["summary"], manifest["seconds"], hit=True)

    def put(self, key: str, stage: str, files: Mapping[str, bytes], summary: dict, seconds: float) -> Result:
        """Store an artefact: in this node's folder, then its files behind the URL, then the manifest."""
        result = self.cache.put(key, stage, files, summary, seconds)
        place = self.cache.folder(key)
        text = (place / MANIFEST).read_bytes()
        for name, digest in read_manifest(text)["files"].items():
            self._write(_object(key, name, digest), (place / name).read_bytes())
        self._write(f"{key}.json", text)
        return result

    def folder(self, key: str) -> Path:
        """Where this node has the artefact's files, read from the URL if need be."""
        with contextlib.suppress(ArtefactLost):
            return self.cache.folder(key)
        if self.get(key) is None:
            raise ArtefactLost(key)
        return self.cache.folder(key)

    def forget(self, key: str) -> None:
        """See `Store`."""
        self.cache.forget(key)

    def check(self) -> None:
        """Write, read and remove a small object, and ask for one that is not there."""
        self.cache.check()
        name, payload = f".probe-{uuid.uuid4().hex}", b"steerheal"
        try:
            self.files.pipe_file(self._at(name), payload)
            whole = self.files.cat_file(self._at(name)) == payload
            # Who may write, but not remove, can run a sweep too.
            with contextlib.suppress(Exception):
                self.files.rm_file(self._at(name))
        except Exception as error:
            raise self._refused(error, "check that it exists, and the credentials") from None
        if not whole:
            raise self._refused("what is written is not what is read", "use another one")
        try:
            self.files.cat_file(self._at(f"{name}-absent"))
        except FileNotFoundError:
            return
        except Exception as error:
            raise self._refused(error, "allow listing, so that an absent object can be told apart") from None

    def _refused(self, why: Exception | str, remedy: str) -> UserError:
        said = why if isinstance(why, str) else f"{type(why).__name__}: {why}"
        return UserError(f"{self.shown}: the stage store cannot be used ({one_line(redacted(said), 200)}); {remedy}")

    def _at(self, name: str) -> str:
        return f"{self.root}/{name}"

    def _read(self, name: str) -> bytes:
        return self.patiently(lambda: self.files.cat_file(self._at(name)))

    def _write(self, name: str, payload: bytes) -> None:
        try:
            self.patiently(lambda: self.files.pipe_file(self._at(name), payload))
        except FileNotFoundError as error:
            raise StoreAway(f"store: {self.shown}: {one_line(redacted(str(error)), 160)}") from error

    def _bring(self, key: str, text: bytes, manifest: Mapping[str, Any]) -> None:
        """Have the artefact of this manifest in the node's folder. Raises Damaged."""
        with self._only_reader(key):
            with contextlib.suppress(ArtefactLost, FileNotFoundError):
                if (self.cache.folder(key) / MANIFEST).read_bytes() == text:
                    return
            files = {}
            for name, digest in manifest["files"].items():
                try:
                    files[name] = self._read(_object(key, name, digest))
                except FileNotFoundError:
                    raise Damaged(f"{name} is missing") from None
                check_file(name, files[name], digest)
            self.cache.remove(key)
            self.cache.put(key, manifest["stage"], files, manifest["summary"], manifest["seconds"])

    @contextlib.contextmanager
    def _only_reader(self, key: str) -> Iterator[None]:
        """Of this node's processes one at a time reads an artefact; the others then find it."""
        locks = self.cache.root / ".locks"
        self.cache.patiently(lambda: locks.mkdir(parents=True, exist_ok=True))
        with self.cache.patiently(lambda: open(locks / key[:2], "w")) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _object(key: str, name: str, digest: str) -> str:
    return f"{key}.{digest[:16]}.{name}"


def _open(url: str, shown: str) -> tuple[Any, str]:
    """The file system of a URL and the path in it."""
    from fsspec.core import url_to_fs

    protocol = url.partition("://")[0]
    try:
        files, root = url_to_fs(url)
    except ImportError as error:
        lacking = getattr(error.__cause__, "name", None) or getattr(error, "name", None)
        remedy = f"pip install {lacking.partition('.')[0]}" if lacking else "install it"
        raise UserError(f"{shown}: {protocol}:// needs a package that is not here ({error}); {remedy}") from None
    except Exception as error:
        said = one_line(redacted(str(error)), 200)
        raise UserError(f"{shown}: no file system of fsspec opens this ({said}); check the address") from None
    return files, root.rstrip("/")
