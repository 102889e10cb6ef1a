"""What time and full disks do to stored artefacts: found on reading, and never half of one."""

import errno
import os
import random
import resource
import subprocess

import pytest
import torch
from tiny import random_adapter

from steerheal.errors import UserError
from steerheal.store import FolderStore
from steerheal.students.adapter import from_peft, to_peft

KEY = "ab" * 32
OTHER = "cd" * 32


@pytest.fixture(scope="module")
def artefact(llama_base):
    """The files of a real one: a healed adapter."""
    return to_peft(random_adapter(llama_base, 2, 0), llama_base.anatomy)


def stored(tmp_path, files):
    FolderStore(tmp_path).put(KEY, "heal", files, {"loss": 1.5}, seconds=2.0)
    return FolderStore(tmp_path).folder(KEY)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def is_found(tmp_path, folder, whole, name, damaged):
    """Whether damage in one file is found; the artefact is then whole again."""
    (folder / name).write_bytes(damaged)
    found = FolderStore(tmp_path).get(KEY) is None
    folder.mkdir(exist_ok=True)
    for other, payload in whole.items():
        (folder / other).write_bytes(payload)
    return found


def test_256_flipped_bits_are_found(tmp_path, artefact, capsys):
    folder, draw = stored(tmp_path, artefact), random.Random(0)
    whole = contents(folder)
    names = sorted(artefact)
    for number in range(256):
        name = names[number % len(names)]
        damaged = bytearray(whole[name])
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        assert is_found(tmp_path, folder, whole, name, bytes(damaged))
    assert FolderStore(tmp_path).get(KEY).summary == {"loss": 1.5}
    assert capsys.readouterr().out.count("will be computed again") == 256


def test_every_truncation_is_found(tmp_path):
    files = {"weights.bin": random.Random(1).randbytes(200), "settings.json": b'{"r": 2}'}
    folder = stored(tmp_path, files)
    whole = contents(folder)
    for name in whole:
        for length in range(len(whole[name])):
            if name != "manifest.json" or whole[name][:length].rstrip() != whole[name].rstrip():
                assert is_found(tmp_path, folder, whole, name, whole[name][:length]), (name, length)
    assert FolderStore(tmp_path).get(KEY).summary == {"loss": 1.5}


def test_flipped_bits_of_the_manifest_are_found(tmp_path):
    folder = stored(tmp_path, {"weights.bin": b"payload"})
    whole = contents(folder)
    missed = []
    for bit in range(8 * len(whole["manifest.json"])):
        damaged = bytearray(whole["manifest.json"])
        damaged[bit // 8] ^= 1 << bit % 8
        if not is_found(tmp_path, folder, whole, "manifest.json", bytes(damaged)):
            missed.append(bytes(damaged))
    assert not missed


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_found_although_their_digest_is_right(tmp_path, llama_base, value):
    adapter = random_adapter(llama_base, 2, 0)
    next(iter(adapter.a.values()))[1, 3] = value
    folder = stored(tmp_path, to_peft(adapter, llama_base.anatomy))
    assert FolderStore(tmp_path).get(KEY) is not None
    with pytest.raises(UserError, match="NaN or infinite"):
        from_peft(folder, llama_base.anatomy)


def check_that_a_full_disk_keeps_the_old(root, limit):
    """Save more than there is room for, beside an artefact and over it."""
    store = FolderStore(root)
    store.put(KEY, "heal", {"weights.bin": b"old"}, {}, seconds=1.0)
    before = {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    for key in (OTHER, KEY):
        with pytest.raises(OSError) as caught:
            store.put(key, "heal", {"small.json": b"{}", "weights.bin": b"\1" * limit}, {}, seconds=1.0)
        assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert store.get(OTHER) is None and FolderStore(root).get(KEY) is not None
    assert not list(root.glob(".part-*"))
    store.put(OTHER, "heal", {"weights.bin": b"fits"}, {}, seconds=1.0)


def test_a_file_system_that_fills_during_a_save(tmp_path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", tmp_path], capture_output=True, text=True
    ) if os.geteuid() == 0 else None
    if mounted is None or mounted.returncode:
        pytest.skip("mounting a small file system needs root and the right to mount")
    try:
        check_that_a_full_disk_keeps_the_old(tmp_path, 20 * 2**20)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_save_that_may_not_grow(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    try:
        check_that_a_full_disk_keeps_the_old(tmp_path, 2**21)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
