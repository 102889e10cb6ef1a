"""The backends of the store, each through the one suite, and what is special to one."""

import errno
import multiprocessing
import os
import sys
import time
from collections import Counter
from pathlib import Path

import fsspec
import objects
import pytest
from fsspec.registry import _registry
from store_suite import FILES, KEY, StoreSuite, contents, put

from steerheal.errors import UserError
from steerheal.object_store import UrlStore, node_cache
from steerheal.store import STALE_SECONDS, FolderStore, open_store


class TestFolder(StoreSuite):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path):
        self.root = tmp_path / "a store"

    def node(self, number=0, patience=0.0):
        return FolderStore(self.root, patience)

    def stored(self):
        paths = [path for path in self.root.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in paths if ".damaged" not in path.parts}

    def overwrite(self, name, payload):
        (self.root / name).write_bytes(payload) if payload is not None else (self.root / name).unlink()

    def fail(self, monkeypatch, store, calls):
        from steerheal import store as module

        whole, count = module.write_bytes, iter(range(10_000))

        def write_bytes(path, payload):
            if next(count) in calls:
                path.write_bytes(payload[: len(payload) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            whole(path, payload)

        monkeypatch.setattr(module, "write_bytes", write_bytes)

    def test_what_a_killed_writer_left_aside_goes_when_it_is_old(self):
        put(self.node())
        for name, age in ((".part-old", STALE_SECONDS + 60), (".part-new", 0)):
            (self.root / name).mkdir()
            (self.root / name / "weights.bin").write_bytes(b"half")
            os.utime(self.root / name, (time.time() - age,) * 2)
        self.node()
        assert [path.name for path in self.root.glob(".part-*")] == [".part-new"]

    def test_nothing_is_made_before_the_first_artefact(self):
        store = self.node()
        store.check()
        assert store.get(KEY) is None and not self.root.exists()

    def test_a_file_in_the_way_is_refused(self):
        self.root.write_text("a file")
        with pytest.raises(UserError, match="cannot be written") as refused:
            self.node().check()
        assert "\n" not in str(refused.value)


class UrlSuite(StoreSuite):
    """A node's cache is a folder of its own, and the backend is what `self.url` leads to."""

    url: str
    caches: Path

    def node(self, number=0, patience=0.0):
        return UrlStore(self.url, self.caches / f"node {number}", patience)

    def files(self):
        return fsspec.core.url_to_fs(self.url)

    def stored(self):
        files, root = self.files()
        return {path.rpartition("/")[2]: files.cat_file(path) for path in files.find(root)}

    def overwrite(self, name, payload):
        files, root = self.files()
        files.rm_file(f"{root}/{name}") if payload is None else files.pipe_file(f"{root}/{name}", payload)

    def fail(self, monkeypatch, store, calls):
        whole, count = store.files.pipe_file, iter(range(10_000))

        def pipe_file(path, value, **options):
            if next(count) in calls:
                whole(path, value[: len(value) // 2])
                raise ConnectionError("reset by https://user:planted-secret@objects.example/?key=planted-secret")
            return whole(path, value, **options)

        monkeypatch.setattr(store.files, "pipe_file", pipe_file)

    def test_it_can_be_checked_and_keeps_nothing_of_it(self):
        self.node().check()
        assert not self.stored()

    def test_a_node_reads_an_artefact_once(self, monkeypatch):
        put(self.node(0))
        reader = self.node(1)
        whole, reads = reader.files.cat_file, Counter()

        def cat_file(path, *given, **options):
            reads[path.rpartition("/")[2]] += 1
            return whole(path, *given, **options)

        monkeypatch.setattr(reader.files, "cat_file", cat_file)
        for store in (reader, reader, self.node(1), self.node(1)):
            monkeypatch.setattr(store.files, "cat_file", cat_file)
            assert contents(store) == FILES and store.get(KEY)
        weights = [count for name, count in reads.items() if name != f"{KEY}.json"]
        assert weights == [1, 1]

    def test_a_damaged_copy_on_a_node_is_read_again(self, capsys):
        put(self.node(0))
        folder = self.node(1).folder(KEY)
        (folder / "curve.json").write_bytes(b"[2]")
        assert contents(self.node(1)) == FILES
        assert "it will be read again" in capsys.readouterr().out

    def test_another_version_behind_the_url_wins_over_the_nodes_own(self):
        put(self.node(0))
        for name in self.stored():
            self.overwrite(name, None)
        other = FILES | {"curve.json": b"[2]"}
        put(self.node(1), files=other)
        store = self.node(0)
        assert store.get(KEY) and contents(store) == other


class TestFileUrl(UrlSuite):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path):
        (tmp_path / "a bucket").mkdir()
        self.url, self.caches = f"file://{tmp_path}/a bucket", tmp_path


class TestMemory(UrlSuite):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path):
        self.url, self.caches = f"memory://{tmp_path}", tmp_path


class TestObjects(UrlSuite):
    """No folders, no rename, and writes that others see half done."""

    @pytest.fixture(autouse=True)
    def place(self, tmp_path):
        (tmp_path / "bucket").mkdir()
        self.bucket = tmp_path / "bucket"
        self.url, self.caches = f"objects://{tmp_path}/bucket", tmp_path

    def stored(self):
        return {path.name: path.read_bytes() for path in self.bucket.iterdir()}

    def test_a_server_that_is_away_is_waited_for_by_readers_too(self, monkeypatch):
        put(self.node(0))
        down = self.bucket.parent / "down"
        down.touch()
        monkeypatch.setattr("steerheal.patience.time.sleep", lambda seconds: down.unlink(missing_ok=True))
        store = self.node(1, patience=100)
        assert contents(store) == FILES
        waiting, back = store.heard()
        assert "ConnectionError: the server is away" in waiting and "secret" not in waiting and "back" in back

    def test_the_processes_of_a_node_read_an_artefact_once(self, monkeypatch):
        """While one reads it, the others wait for that one."""
        put(self.node(0))
        context = multiprocessing.get_context("fork")
        reads = context.SimpleQueue()
        whole = objects.Objects.cat_file

        def cat_file(self, path, *given, **options):
            reads.put(path.rpartition("/")[2])
            time.sleep(0.05)
            return whole(self, path, *given, **options)

        monkeypatch.setattr(objects.Objects, "cat_file", cat_file)
        readers = [context.Process(target=lambda: self.node(1).folder(KEY)) for _ in range(4)]
        for process in readers:
            process.start()
        for process in readers:
            process.join(60)
        assert [process.exitcode for process in readers] == [0] * 4
        seen = []
        while not reads.empty():
            seen.append(reads.get())
        weights = [name for name in seen if name != f"{KEY}.json"]
        assert sorted(Counter(weights).values()) == [1, 1]


@pytest.fixture(scope="module")
def s3_server():
    pytest.importorskip("s3fs", reason="to run these: pip install s3fs 'moto[server]'")
    moto = pytest.importorskip("moto.server", reason="to run these: pip install s3fs 'moto[server]'")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


class TestS3(UrlSuite):
    """With a server that speaks S3, where its packages are installed."""

    @pytest.fixture(autouse=True)
    def place(self, s3_server, tmp_path, monkeypatch):
        given = {"AWS_ENDPOINT_URL": s3_server, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "planted-secret"}
        for name, value in (given | {"AWS_DEFAULT_REGION": "us-east-1"}).items():
            monkeypatch.setenv(name, value)
        files = fsspec.filesystem("s3", skip_instance_cache=True)
        bucket = tmp_path.name.replace("_", "-").lower()[-40:].strip("-")
        files.mkdir(bucket)
        self.url, self.caches = f"s3://{bucket}/runs", tmp_path

    def files(self):
        files, root = fsspec.core.url_to_fs(self.url)
        files.invalidate_cache()
        return files, root

    def test_a_bucket_that_is_not_there_is_refused(self):
        with pytest.raises(UserError, match="no-such-bucket/runs: the stage store cannot be used"):
            UrlStore("s3://no-such-bucket/runs", self.caches).check()


@pytest.mark.parametrize(
    "url, words",
    [
        ("objects:///nowhere/bucket", "FileNotFoundError: no bucket in /nowhere); check that it exists"),
        ("https://user:planted-secret@objects.example/x?key=planted-secret", "https://objects.example/x: "),
        ("s3x://bucket", "Protocol not known: s3x"),
        ("sftp://host/x", "pip install paramiko"),
        (
            "s3://bucket/x",
            "s3://bucket/x: s3:// needs a package that is not here (Install s3fs to access S3); pip install s3fs",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(url, words, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("paramiko", "s3fs"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(_registry, "s3", raising=False)
    with pytest.raises(UserError) as refused:
        open_store(url, patience=0).check()
    assert words in str(refused.value) and "\n" not in str(refused.value) and "secret" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_what_is_written_and_not_read_is_refused(tmp_path):
    (tmp_path / "bucket").mkdir()
    store = UrlStore(f"objects://{tmp_path}/bucket", tmp_path / "cache")
    store.files.cat_file = lambda path: b"other"
    with pytest.raises(UserError, match="what is written is not what is read"):
        store.check()
    del store.files.cat_file
    store.files._object = lambda path: (_ for _ in ()).throw(PermissionError("not yours"))
    with pytest.raises(UserError, match="PermissionError: not yours"):
        store.check()


def test_a_nodes_cache_is_in_its_users_own_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert node_cache("s3://a/b").is_relative_to(tmp_path / ".cache" / "steerheal" / "store")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert node_cache("s3://a/b").parent == tmp_path / "x" / "steerheal" / "store"
    assert node_cache("s3://a/b") != node_cache("s3://a/c")
