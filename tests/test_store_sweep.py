"""Sweeps over a store behind a URL, and over a disk that fills: through Ray, with a worker that is arithmetic."""

import os
import shutil
import threading

import psutil
import pytest
from cli_sweeps import PLANTED, environment, finish, start, wait_for
from listening import listeners, on_loopback
from small import write_space
from test_store_damage import small_disk  # noqa: F401 (a fixture)

from steerheal import yaml_io
from steerheal.artefact import read_manifest
from steerheal.results import RunFolder

pytestmark = pytest.mark.slow

ENTRY = "[fsspec.specs]\nobjects = objects:Objects\n"


class Reading:
    """What a process prints, while it runs."""

    def __init__(self, process):
        self.process, self.lines = process, []
        self.thread = threading.Thread(target=lambda: self.lines.extend(iter(process.stdout.readline, "")))
        self.thread.start()

    def wait_for(self, words):
        wait_for(lambda: any(words in line for line in self.lines) or self.process.poll() is not None)
        assert any(words in line for line in self.lines), "".join(self.lines) + self.process.stderr.read()

    def finish(self, code=0):
        err = self.process.stderr.read()
        assert self.process.wait(120) == code, "".join(self.lines) + err
        self.thread.join()
        return "".join(self.lines), err


@pytest.fixture
def far(tmp_path, monkeypatch):
    """A folder with a bucket behind a URL, whose file system is installed as a user's would be: by an entry point."""
    plugin = tmp_path / "plugins" / "objects-1.dist-info"
    plugin.mkdir(parents=True)
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: objects\nVersion: 1\n")
    (plugin / "entry_points.txt").write_text(ENTRY)
    folder = tmp_path / "far away"
    (folder / "bucket").mkdir(parents=True)
    (folder / "traps").mkdir()
    given = environment() | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    given["PYTHONPATH"] += os.pathsep + str(tmp_path / "plugins")
    monkeypatch.setattr("cli_sweeps.environment", lambda: given)
    return folder


def artefacts(bucket, stage):
    """The manifests of a stage in a bucket."""
    found = {path.name.removesuffix(".json"): path for path in bucket.glob("*.json") if path.name.count(".") == 1}
    return [key for key, path in found.items() if read_manifest(path.read_bytes())["stage"] == stage]


def test_a_store_behind_a_url(far, tmp_path):
    """It is away for good, then for a while, then damaged: one sweep, in three runs."""
    space, out = write_space(tmp_path), tmp_path / "tune runs"
    url = f"objects://{far}/bucket"
    words = ["--set", f"resources.store={url}", "--set", "trials=3", "--resume"]

    (far / "traps" / "heal").write_text("away")
    printed, _ = finish(start(space, *words), 1)
    assert "store: far away: No space left on device, for 900 s: 0 of 3 trials are finished; go on with" in printed
    assert not RunFolder(out / "small").trials and not (out / "store").exists()

    (far / "traps" / "heal").write_text("sleep 2")
    begun = len((far / "batches.txt").read_text().splitlines())
    sweep = Reading(start(space, *words))
    wait_for(lambda: "heal" in "".join((far / "batches.txt").read_text().splitlines()[begun:]))
    (far / "down").touch()
    sweep.wait_for("ConnectionError: the server is away")
    (far / "traps" / "heal").unlink()
    (far / "down").unlink()
    printed, err = sweep.finish()
    assert "waiting for it, up to 900 s" in printed and "back after" in printed and "secret" not in printed + err
    rows = (out / "small" / "trials.jsonl").read_bytes()
    assert [row["verdict"] for row in RunFolder(out / "small").trials] == ["ok"] * 3
    assert all(path.name.endswith("-0") for path in (far / "ran").iterdir())
    assert (out / "small" / "adapters" / "best" / "adapter_model.safetensors").exists()
    assert yaml_io.load(out / "small" / "space.yaml")["resources"]["store"] == url
    assert len(artefacts(far / "bucket", "heal")) == len({path for path in (far / "ran").glob("heal-*")})

    (extract,) = artefacts(far / "bucket", "extract")
    (vector,) = (far / "bucket").glob(f"{extract}.*.vector.safetensors")
    vector.write_bytes(vector.read_bytes()[:-1] + b"!")
    shutil.rmtree(tmp_path / "cache")
    printed, _ = finish(start(space, *words, "--set", "trials=4"))
    assert printed.count("vector.safetensors: its digest differs; it will be computed again") == 1
    assert [path.name[-1] for path in sorted((far / "ran").glob("extract-*"))] == ["0", "1"]
    assert (out / "small" / "trials.jsonl").read_bytes().startswith(rows)
    assert len(RunFolder(out / "small").trials) == 4
    assert PLANTED.encode() not in b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())


def test_a_disk_that_fills_during_a_sweep(small_disk, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("with space")
    space, ballast = write_space(folder), small_disk / "ballast"
    (small_disk / "traps").mkdir()
    (small_disk / "traps" / "heal").write_text("sleep 2")
    sweep = Reading(start(space, "--set", f"resources.store={small_disk}/store", "--set", "trials=2"))
    wait_for(lambda: (small_disk / "batches.txt").exists() and "heal" in (small_disk / "batches.txt").read_text())
    with pytest.raises(OSError), open(ballast, "wb") as stream:
        while True:
            stream.write(b"1" * 4096)
    sweep.wait_for("No space left on device; waiting for it")
    heard = listeners(psutil.Process(sweep.process.pid))
    assert {row for row, _, _ in heard} >= {"GCS", "raylet", "agents", "workers and drivers"}
    assert not [one for one in heard if not on_loopback(one[1])] and "dashboard" not in {row for row, _, _ in heard}
    ballast.unlink()
    printed, err = sweep.finish()
    assert "back after" in printed and "Traceback" not in err
    assert [row["verdict"] for row in RunFolder(folder / "tune runs" / "small").trials] == ["ok"] * 2
    assert not list(small_disk.rglob(".part-*"))


@pytest.mark.parametrize(
    "store, words",
    [
        ("objects:///nowhere/bucket", "resources.store: objects:///nowhere/bucket: the stage store cannot be used"),
        ("sftp://host/folder", "pip install paramiko"),
        ("/dev/null/store", "resources.store: /dev/null/store: the stage store cannot be written"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_line_before_anything_begins(store, words, far, tmp_path):
    space = write_space(tmp_path)
    before = sorted(path for path in tmp_path.rglob("*"))
    _, err = finish(start(space, "--set", f"resources.store={store}"), 2)
    assert words in err and err.count("\n") == 1 and str(space) in err
    assert sorted(path for path in tmp_path.rglob("*")) == before
