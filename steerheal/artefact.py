"""What a stored artefact is: named files, and a manifest with their digests and its own.

The manifest holds stage, summary, seconds, sha256 of every file, and sha256 of these entries themselves.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize

MANIFEST = "manifest.json"
# Plain names: a store that others write to must not lead out of an artefact's folder.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
# Where a type's exponent lies: all of its bits are set in infinities and NaNs, and in no number (IEEE 754).
EXPONENTS = {
    "F16": (np.uint16, 0x7C00),
    "BF16": (np.uint16, 0x7F80),
    "F32": (np.uint32, 0x7F800000),
    "F64": (np.uint64, 0x7FF0000000000000),
}


class Damaged(Exception):
    """Why an artefact is not what was put, in a few words."""


def describe(stage: str, files: Mapping[str, bytes], summary: dict, seconds: float) -> bytes:
    """The manifest of an artefact. Raises ValueError when a number in it or in its tensors is not finite."""
    for name, payload in files.items():
        if not NAME.fullmatch(name) or name == MANIFEST:
            raise ValueError(f"{name!r} is no name for a file of an artefact")
        if why := _not_finite(name, payload):
            raise ValueError(f"{name}: {why}")
    digests = {name: hashlib.sha256(payload).hexdigest() for name, payload in files.items()}
    manifest = {"stage": stage, "summary": summary, "seconds": seconds, "files": digests}
    return (json.dumps(manifest | {"sha256": _digest(manifest)}, indent=1, allow_nan=False) + "\n").encode()


def read_manifest(text: bytes) -> dict[str, Any]:
    """The entries of a manifest that is whole: stage, summary, seconds, files. Raises Damaged."""
    try:
        manifest = json.loads(text)
        if manifest.pop("sha256") != _digest(manifest):
            raise Damaged("its manifest's digest differs")
        if not all(NAME.fullmatch(name) and isinstance(digest, str) for name, digest in manifest["files"].items()):
            raise Damaged("its manifest names files elsewhere")
        return {name: manifest[name] for name in ("stage", "summary", "seconds", "files")}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Damaged("its manifest cannot be read") from None


def check_file(name: str, payload: bytes, digest: str) -> None:
    """Raises Damaged unless the bytes are those that were put and every tensor among them is finite."""
    if hashlib.sha256(payload).hexdigest() != digest:
        raise Damaged(f"{name}: its digest differs")
    if why := _not_finite(name, payload):
        raise Damaged(f"{name}: {why}")


def _not_finite(name: str, payload: bytes) -> str | None:
    """What is wrong with a safetensors file's numbers."""
    if not name.endswith(".safetensors"):
        return None
    try:
        tensors = deserialize(payload)
    except SafetensorError:
        return "not a safetensors file"
    for tensor, stored in tensors:
        if stored["dtype"] in EXPONENTS:
            kind, exponent = EXPONENTS[stored["dtype"]]
            bits = np.frombuffer(stored["data"], kind) & kind(exponent)
            if (bits == exponent).any():
                return f"{tensor} holds NaN or infinite numbers"
    return None


def _digest(manifest: Mapping) -> str:
    """Of a manifest's entries, the same before and after JSON (whose keys are all text)."""
    read_back = json.loads(json.dumps(manifest))
    return hashlib.sha256(json.dumps(read_back, sort_keys=True).encode()).hexdigest()
