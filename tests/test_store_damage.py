"""What time and full disks do to stored artefacts: found on reading, and never half of one."""

import errno
import hashlib
import os
import random
import resource
import subprocess

import pytest
import torch
from tiny import random_adapter

from steerheal import patience
from steerheal.artefact import Damaged, check_file
from steerheal.errors import StoreAway, UserError
from steerheal.files import write_bytes, write_json
from steerheal.store import FolderStore
from steerheal.students.adapter import from_peft, to_peft
from steerheal.students.peft_files import WEIGHTS_FILE

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


def test_every_truncation_of_a_checkpoint_is_found(artefact):
    for name, payload in artefact.items():
        digest = hashlib.sha256(payload).hexdigest()
        check_file(name, payload, digest)
        for length in range(len(payload)):
            with pytest.raises(Damaged):
                check_file(name, payload[:length], digest)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_found_although_their_digest_is_right(
    tmp_path, llama_base, dtype, value, capsys
):
    adapter = random_adapter(llama_base, 2, 0).to("cpu", dtype)
    stored(tmp_path, to_peft(adapter, llama_base.anatomy))
    largest = torch.finfo(dtype).max
    weights = next(iter(adapter.a.values()))
    for number, good in ((largest, True), (-largest, True), (0.0, True), (value, False)):
        weights[1, 3] = number
        files = to_peft(adapter, llama_base.anatomy)
        digests = {name: hashlib.sha256(payload).hexdigest() for name, payload in files.items()}
        if good:
            check_file(WEIGHTS_FILE, files[WEIGHTS_FILE], digests[WEIGHTS_FILE])
            continue
        with pytest.raises(Damaged, match="holds NaN or infinite numbers"):
            check_file(WEIGHTS_FILE, files[WEIGHTS_FILE], digests[WEIGHTS_FILE])
        with pytest.raises(ValueError, match="holds NaN or infinite numbers"):
            FolderStore(tmp_path).put(OTHER, "heal", files, {}, seconds=2.0)
        for name, payload in files.items():
            (tmp_path / name).write_bytes(payload)
        with pytest.raises(UserError, match="NaN or infinite"):
            from_peft(tmp_path, llama_base.anatomy)


def held(root):
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def check_that_a_full_disk_keeps_the_old(root, limit):
    """Save more than there is room for, beside an artefact and over it; then the room is there again."""
    FolderStore(root).put(KEY, "heal", {"weights.bin": b"old"}, {}, seconds=1.0)
    before = held(root)
    store = FolderStore(root, patience=0)
    for key in (OTHER, KEY):
        with pytest.raises(StoreAway, match="No space left on device|File too large") as caught:
            store.put(key, "heal", {"small.json": b"{}", "weights.bin": b"\1" * limit}, {}, seconds=1.0)
        assert caught.value.__cause__.errno in (errno.ENOSPC, errno.EFBIG)
        assert held(root) == before
    assert store.get(OTHER) is None and FolderStore(root).get(KEY) is not None
    assert not list(root.glob(".part-*"))
    store.put(OTHER, "heal", {"weights.bin": b"fits"}, {}, seconds=1.0)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 16 MiB."""
    if os.geteuid():
        pytest.skip("mounting a small file system needs root")
    words = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", tmp_path]
    mounted = subprocess.run(words, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_file_system_that_fills_during_a_save(small_disk):
    check_that_a_full_disk_keeps_the_old(small_disk, 20 * 2**20)


def test_a_file_system_that_is_full_for_a_while_is_waited_for(small_disk, monkeypatch):
    store, ballast = FolderStore(small_disk, patience=100), small_disk / "ballast"
    with pytest.raises(OSError):
        ballast.write_bytes(b"\1" * 20 * 2**20)
    monkeypatch.setattr(patience.time, "sleep", lambda seconds: ballast.unlink(missing_ok=True))
    store.put(KEY, "heal", {"weights.bin": b"\1" * 2**20}, {}, seconds=1.0)
    full, back = store.heard()
    assert "No space left on device; waiting for it" in full and "back after" in back
    assert FolderStore(small_disk).get(KEY) and not list(small_disk.glob(".part-*"))


@pytest.mark.parametrize("write", [write_bytes, lambda path, payload: write_json(path, payload.decode())])
def test_a_file_that_does_not_fit_keeps_the_old(small_disk, write):
    (small_disk / "table.csv").write_bytes(b"old")
    with pytest.raises(OSError):
        write(small_disk / "table.csv", b"1" * 20 * 2**20)
    assert held(small_disk) == {str(small_disk / "table.csv"): b"old"}


def test_a_save_that_may_not_grow(tmp_path):
    """The same where nothing can be mounted: a limit on the size of files."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    try:
        check_that_a_full_disk_keeps_the_old(tmp_path, 2**21)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
