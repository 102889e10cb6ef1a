"""Signals to a whole process group, and secrets of the surroundings, around a real Ray."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from cli_sweeps import TESTS, descendants, environment, heals, mlflow_runs, wait_for
from small import write_space

SECRET = "planted-77d0b4e1c2"


def start(space, **more):
    command = [sys.executable, TESTS / "fake_tune.py", space, "--out", space.parent / "runs"]
    # A group of its own, as a shell, `timeout` or a batch system makes it.
    return subprocess.Popen(
        command,
        env=environment() | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_a_signal_to_the_whole_group_stops_cleanly_and_soon(tmp_path):
    space, out = write_space(tmp_path), tmp_path / "runs"
    (out / "traps").mkdir(parents=True)
    (out / "traps" / "heal").write_text("sleep 4")
    sweep = start(space)
    wait_for(lambda: (out / "batches.txt").exists() and heals(out))
    started, began = descendants(sweep), time.monotonic()
    listening = {
        connection.laddr.ip
        for process in started
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    os.killpg(sweep.pid, signal.SIGTERM)
    printed, _ = sweep.communicate(timeout=60)
    assert sweep.returncode == 130 and "go on with" in printed, printed
    assert time.monotonic() - began < 25
    assert not psutil.wait_procs(started, timeout=10)[1]
    assert "RUNNING" not in {run.info.status for run in mlflow_runs(out)[1]}


def test_secrets_stay_where_they_are(tmp_path):
    names = ("HF_TOKEN", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "OPENAI_API_KEY", "RAY_AUTH_TOKEN")
    secrets = dict.fromkeys(names, SECRET) | {"HF_ENDPOINT": f"https://user:{SECRET}@127.0.0.1:9"}
    # A server that is away, so that what MLflow says of it is printed.
    secrets["MLFLOW_TRACKING_URI"] = f"http://user:{SECRET}@127.0.0.1:9/?api_key={SECRET}"
    sweep = start(write_space(tmp_path), MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", **secrets)
    printed, _ = sweep.communicate(timeout=120)
    assert sweep.returncode == 0 and "is away" in printed, printed
    assert SECRET not in printed
    logs = next(Path("/tmp/ray").glob(f"session_*_{sweep.pid}"))
    files = [path for place in (tmp_path, logs) for path in place.rglob("*") if path.is_file()]
    assert len(files) > 30 and not [path for path in files if SECRET.encode() in path.read_bytes()]
