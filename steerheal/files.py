"""Files that are either whole or absent: write aside, fsync, rename; and digests beside what must not rot."""

import hashlib
import json
import os
import tempfile
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Flush a folder's own entries, so that a rename in it survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, payload: bytes) -> None:
    """Replace `path` by `payload` atomically; on any failure (disk full) the old file stays as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(payload)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(aside, path)
    except BaseException:
        os.unlink(aside)
        raise
    sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` for text, in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, data: object) -> None:
    """`write_bytes` for JSON; NaN and infinity are refused (ValueError), since JSON has neither."""
    write_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n")


def write_jsonl(path: Path, rows: list[dict]) -> None:
    """One JSON object a line."""
    write_text(path, "".join(json.dumps(row, allow_nan=False, ensure_ascii=False) + "\n" for row in rows))


def read_jsonl(path: Path) -> list[dict]:
    """The rows that `write_jsonl` wrote."""
    with open(path, encoding="utf-8") as stream:
        return [json.loads(line) for line in stream if line.strip()]


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
