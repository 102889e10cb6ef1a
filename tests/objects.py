"""An fsspec file system with the manners of a poor object store: flat names, no folders, no rename, writes that
others can see half done. It lies in a local folder, so that several processes share it.

A file `down` in that folder makes every call fail, as a server that is away does.
"""

import os
from pathlib import Path
from urllib.parse import quote

from fsspec import AbstractFileSystem, register_implementation


class Objects(AbstractFileSystem):
    """`objects:///folder/...`: an object per file of the folder."""

    protocol = "objects"
    cachable = False

    def _object(self, path):
        bucket, _, name = self._strip_protocol(path).partition("/bucket")
        if (Path(bucket) / "down").exists():
            raise ConnectionError("the server is away; https://user:planted-secret@objects.example/?key=planted-secret")
        if not Path(bucket, "bucket").is_dir():
            raise FileNotFoundError(f"no bucket in {bucket}")
        return Path(bucket, "bucket", quote(name.strip("/"), safe=""))

    def pipe_file(self, path, value, mode="overwrite", **options):
        """Half of it, then the rest."""
        with open(self._object(path), "wb") as stream:
            stream.write(value[: len(value) // 2])
            stream.flush()
            os.sched_yield()
            stream.write(value[len(value) // 2 :])

    def cat_file(self, path, start=None, end=None, **options):
        """The whole object."""
        return self._object(path).read_bytes()[start:end]

    def _rm(self, path):
        self._object(path).unlink()


register_implementation("objects", "objects.Objects", clobber=True)
