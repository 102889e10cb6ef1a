"""The store: whole artefacts or none, and damage is found, said and survived."""

import json
import threading

import pytest

from steerheal.store import FolderStore

KEY = "ab" * 32


def put(store, key=KEY, payload=b"payload"):
    return store.put(key, "heal", {"weights.bin": payload, "curve.json": b"[1]"}, {"loss": 1.5}, seconds=2.0)


def test_what_was_put_is_what_is_got(tmp_path):
    put(FolderStore(tmp_path))
    result = FolderStore(tmp_path).get(KEY)
    assert (result.key, result.stage, result.summary, result.seconds) == (KEY, "heal", {"loss": 1.5}, 2.0)
    assert result.hit
    assert (FolderStore(tmp_path).folder(KEY) / "weights.bin").read_bytes() == b"payload"


def test_a_summary_is_got_as_json_holds_it(tmp_path):
    FolderStore(tmp_path).put(KEY, "heal", {}, {"steps": {10: (1, 2), 9: ()}}, seconds=2.0)
    assert FolderStore(tmp_path).get(KEY).summary == {"steps": {"10": [1, 2], "9": []}}


def test_absent_is_none(tmp_path):
    assert FolderStore(tmp_path).get(KEY) is None


def test_failed_put_leaves_nothing(tmp_path):
    store = FolderStore(tmp_path)
    with pytest.raises(ValueError):
        store.put(KEY, "heal", {"weights.bin": b"x"}, {"loss": float("nan")}, seconds=1.0)
    assert store.get(KEY) is None
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_every_truncation_and_bit_flip_is_found(tmp_path, capsys):
    payload = bytes(range(64))
    for position in range(0, 64, 5):
        for damaged in (
            payload[:position],
            payload[:position] + bytes([payload[position] ^ 1]) + payload[position + 1 :],
        ):
            store = FolderStore(tmp_path)
            put(store, payload=payload)
            (store.folder(KEY) / "weights.bin").write_bytes(damaged)
            assert FolderStore(tmp_path).get(KEY) is None
            assert "will be computed again" in capsys.readouterr().out
    assert put(FolderStore(tmp_path)).key == KEY
    assert FolderStore(tmp_path).get(KEY) is not None


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"stage": "heal"})])
def test_damaged_manifest_is_set_aside(tmp_path, text):
    store = FolderStore(tmp_path)
    put(store)
    (store.folder(KEY) / "manifest.json").write_text(text)
    assert FolderStore(tmp_path).get(KEY) is None
    assert not store.folder(KEY).exists()


def test_missing_file_is_set_aside(tmp_path):
    store = FolderStore(tmp_path)
    put(store)
    (store.folder(KEY) / "curve.json").unlink()
    assert FolderStore(tmp_path).get(KEY) is None


def test_many_writers_of_one_key(tmp_path):
    store = FolderStore(tmp_path)
    errors = []

    def write():
        try:
            put(store)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and store.get(KEY) is not None
    assert not list(tmp_path.glob(".part-*"))
