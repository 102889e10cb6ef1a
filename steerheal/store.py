"""The content-addressed store: one folder per artefact, whole or absent, with digests beside the files.

`root/ab/abcdef…/` holds an artefact's files and `manifest.json` (stage, summary, seconds, sha256 of every file, and of
these entries themselves).
It is written in a folder aside and renamed into place, so a reader never sees half an artefact.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from steerheal.files import sha256, sync_folder, write_bytes, write_json
from steerheal.jobs import Result

MANIFEST = "manifest.json"


class FolderStore:
    """Artefacts below one folder of a local or shared file system."""

    def __init__(self, root: Path | str):
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self._checked: set[str] = set()

    def folder(self, key: str) -> Path:
        """Where an artefact lies, present or not."""
        return self.root / key[:2] / key

    def get(self, key: str) -> Result | None:
        """The finished artefact's summary, or None. A damaged artefact is set aside, and None returned."""
        folder = self.folder(key)
        try:
            manifest = json.loads((folder / MANIFEST).read_text())
            if manifest.pop("sha256") != _digest(manifest):
                raise ValueError("its manifest's digest differs")
            if key not in self._checked and any(
                sha256(folder / name) != digest for name, digest in manifest["files"].items()
            ):
                raise ValueError("a digest differs")
        except FileNotFoundError:
            if not folder.exists():
                return None
            self._set_aside(key, "a file is missing")
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as damage:
            self._set_aside(key, str(damage))
            return None
        self._checked.add(key)
        return Result(key, manifest["stage"], manifest["summary"], manifest["seconds"], hit=True)

    def put(self, key: str, stage: str, files: Mapping[str, bytes], summary: dict, seconds: float) -> Result:
        """Store an artefact atomically. When two writers race, the first rename wins and both are right."""
        folder = self.folder(key)
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=self.root, prefix=".part-"))
        try:
            for name, payload in files.items():
                write_bytes(aside / name, payload)
            digests = {name: sha256(aside / name) for name in files}
            manifest = {"stage": stage, "summary": summary, "seconds": seconds, "files": digests}
            write_json(aside / MANIFEST, manifest | {"sha256": _digest(manifest)})
            try:
                os.rename(aside, folder)
            except OSError:
                if self.get(key) is None:
                    raise
            sync_folder(folder.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return Result(key, stage, summary, seconds, hit=False)

    def _set_aside(self, key: str, damage: str) -> None:
        """Move a damaged artefact out of the way, so that it is computed again, and say so."""
        shelf = self.root / ".damaged"
        shelf.mkdir(exist_ok=True)
        target = Path(tempfile.mkdtemp(dir=shelf, prefix=f"{key[:12]}-"))
        os.rename(self.folder(key), target / key)
        print(f"store: {self.folder(key)}: {damage}; moved to {target}, it will be computed again", flush=True)


def _digest(manifest: Mapping) -> str:
    """Of a manifest's entries, the same before and after JSON (whose keys are all text)."""
    read_back = json.loads(json.dumps(manifest))
    return hashlib.sha256(json.dumps(read_back, sort_keys=True).encode()).hexdigest()
