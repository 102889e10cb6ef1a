"""The containers' files without a container: linted, parsed, and each command in them run here."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from small import write_space

from steerheal import tune
from steerheal.config import load_space

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"
README = (DOCKER / "README.md").read_text()
RULES = "{extends: default, rules: {line-length: {max: 120}, document-start: disable}}"


def instructions():
    """The Dockerfile as (instruction, rest) pairs."""
    text = re.sub(r"\\\n\s*", "", (DOCKER / "Dockerfile").read_text())
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line and not line.startswith("#")]


def arguments_of(instruction):
    return [rest for name, rest in instructions() if name == instruction]


def document(name):
    return YAML(typ="safe").load((DOCKER / name).read_text())


def recipe(word):
    """The one command of the README that has this word."""
    (line,) = [line.strip() for line in README.splitlines() if line.startswith("    ") and word in line]
    return line


def tool(name):
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    return found or pytest.skip(f"{name} is not installed")


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_dockerfile_passes_its_linter():
    run([tool("hadolint"), DOCKER / "Dockerfile"])


def test_the_yaml_files_pass_their_linter():
    run([tool("yamllint"), "--strict", "-d", RULES, *sorted(DOCKER.glob("*.yaml"))])


def test_images_are_pinned_and_not_root():
    stages = arguments_of("FROM")
    outside = [stage for stage in stages if stage.split()[0] not in ("cpu", "build")]
    assert outside and all(re.match(r"python:3\.11\.\d+-slim-\w+ ", stage) for stage in outside)
    assert [stage.split()[-1] for stage in stages] == ["build", "cpu", "cuda"]
    positions = [n for n, (name, _) in enumerate(instructions()) if name == "FROM"]
    for first, last in zip(positions[1:], [*positions[2:], None], strict=True):
        users = [rest for name, rest in instructions()[first:last] if name == "USER"]
        assert users[-1] == "1000:1000"
    assert not re.search(r"https?:", (DOCKER / "Dockerfile").read_text())


def test_what_is_copied_reaches_the_builder():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for rest in arguments_of("COPY"):
        if not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists() and Path(source).parts[0] in kept


def test_pip_accepts_the_layer_that_installs(tmp_path):
    (pip,) = [rest for rest in arguments_of("RUN") if "pip install" in rest]
    build = [rest for rest in arguments_of("COPY") if not rest.startswith("--from")][:3]
    for *sources, target in map(str.split, build):
        for source in sources:
            (tmp_path / target).mkdir(exist_ok=True)
            shutil.copy(ROOT / source, tmp_path / target)
    offline = " --dry-run --no-index --no-deps --no-build-isolation"
    command = pip.replace("/opt/venv/bin/python", shlex.quote(sys.executable)) + offline
    assert "Would install steerheal" in run(
        ["bash", "-euc", command], cwd=tmp_path, env=os.environ | {"TORCH_INDEX": ""}
    )


def test_every_version_in_the_images_is_pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.+!-]+", pin) for pin in pins)
    names = [re.sub(r"[-_.]+", "-", pin.split("==")[0].lower()) for pin in pins]
    assert len(set(names)) == len(names)
    assert {"ray", "torch", "mlflow", "grpcio", "aiohttp-cors", "opencensus", "prometheus-client"} <= set(names)
    ray = next(pin for pin in pins if pin.startswith("ray=="))
    assert document("rayjob.yaml")["spec"]["rayClusterSpec"]["rayVersion"] == ray.removeprefix("ray==")


def test_the_other_layers_run(tmp_path):
    shells = [rest for rest in arguments_of("RUN") if "pip install" not in rest]
    assert len(shells) == 4
    for shell in shells:
        run(["bash", "-n", "-c", shell])
    venv, users = shells[0], next(shell for shell in shells if "useradd" in shell)
    command = venv.replace("/opt/venv", shlex.quote(str(tmp_path / "venv"))) + " --without-pip"
    run(["bash", "-euc", command.replace("python", shlex.quote(sys.executable), 1)])
    _, _, folder = users.partition(" && ")
    owned = folder.replace("/runs", shlex.quote(str(tmp_path / "runs")))
    run(["bash", "-euc", re.sub(r"--(owner|group)=1000", "", owned)])
    assert (tmp_path / "runs").is_dir()
    packages = [
        word
        for shell in shells
        if "apt-get" in shell
        for word in shell.split("recommends ")[1].split(" && ")[0].split()
    ]
    assert packages == ["wget", "gcc", "libc6-dev"]


def test_what_the_image_says_when_it_is_started():
    (command,) = arguments_of("CMD")
    python, *words = json.loads(command)
    assert python == "python" and "SPACE.yaml" in run([sys.executable, *words], cwd=ROOT)


def test_the_readme_builds_what_the_dockerfile_has():
    for target in ("cuda", "cpu"):
        words = shlex.split(recipe(f"--target {target}"))
        assert words[:2] == ["docker", "build"] and (ROOT / words[words.index("--file") + 1]).exists()
        assert words[words.index("--tag") + 1] == f"steerheal:{target}"
    assert "--build-arg TORCH_INDEX=" in recipe("--target cpu") and "TORCH_INDEX=" in arguments_of("ARG")


def sweep_of(words):
    """The space that a `python -m steerheal.tune` command runs, and its options."""
    assert words[:3] == ["python", "-m", "steerheal.tune"]
    options = tune.parser().parse_args(words[3:])
    return load_space(ROOT / options.space, options.overrides), options


def test_compose_runs_a_sweep_and_shows_it_on_loopback_alone():
    services = document("compose.yaml")["services"]
    command = [re.sub(r"\$\{\w+:-(.*)\}", r"\1", word) for word in services["sweep"]["command"]]
    space, options = sweep_of(command)
    assert space.name == "barrier" and str(options.out) == "/runs"
    assert services["mlflow"]["ports"] == ["127.0.0.1:5000:5000"]
    for service in services.values():
        assert service["cap_drop"] == ["ALL"] and service["volumes"] == ["runs:/runs"] and service["init"]
    assert document("compose.gpu.yaml")["services"].keys() == {"sweep"}


def test_the_mlflow_service_answers(tmp_path):
    port = str(free_port())
    words = document("compose.yaml")["services"]["mlflow"]["command"]
    told = {"python": sys.executable, "0.0.0.0": "127.0.0.1", "5000": port}
    command = [told.get(word, word.replace("/runs", str(tmp_path))) for word in words]
    with open(tmp_path / "log", "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd=tmp_path)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                # A browser on the host asks for the published address.
                asked = urllib.request.Request(f"http://127.0.0.1:{port}/health", headers={"Host": "127.0.0.1:5000"})
                assert urllib.request.urlopen(asked, timeout=5).read() == b"OK"
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.5)
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)
    assert (tmp_path / "mlflow.db").exists()


def test_the_rayjob_fits_its_cluster():
    job = document("rayjob.yaml")
    spec, cluster = job["spec"], job["spec"]["rayClusterSpec"]
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert spec.keys() == {
        "entrypoint",
        "backoffLimit",
        "shutdownAfterJobFinishes",
        "ttlSecondsAfterFinished",
        "rayClusterSpec",
    }
    assert cluster.keys() == {"rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"}
    assert cluster["authOptions"] == {"mode": "token"}
    (workers,) = cluster["workerGroupSpecs"]
    space, options = sweep_of(shlex.split(spec["entrypoint"]))
    assert options.resume and options.name and options.out.parts[1] == "shared"
    kinds = [getattr(space.resources, kind) for kind in ("generation", "trainer", "evaluation")]
    limits = workers["template"]["spec"]["containers"][0]["resources"]
    assert space.resources.placement == "spread"
    assert sum(kind.gpus * kind.replicas for kind in kinds) == workers["replicas"] * int(
        limits["limits"]["nvidia.com/gpu"]
    )
    assert all(kind.cpus <= int(limits["requests"]["cpu"]) for kind in kinds)
    for group in (cluster["headGroupSpec"], workers):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] and not container["securityContext"]["allowPrivilegeEscalation"]
        assert [mount["name"] for mount in container["volumeMounts"]] == [volume["name"] for volume in pod["volumes"]]
        assert container["image"] == "steerheal:cuda"


@pytest.fixture
def hand_started(tmp_path):
    """A function that starts a command of the README here, in the place of several machines."""
    # Ray starts its processes through a shell, which breaks on an environment's path with spaces.
    (tmp_path / "env").symlink_to(sys.prefix)
    port, started = free_port(), []
    told = {"$HEAD": "127.0.0.1", "$HERE": "127.0.0.1", "6379": str(port), "/shared": str(tmp_path)}
    home = {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)])}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}

    def start(command):
        for word, value in told.items():
            command = command.replace(word, value)
        command = "exec env " + command.replace("python", str(tmp_path / "env" / "bin" / "python"), 1)
        with open(tmp_path / f"log{len(started)}", "w") as log:
            process = subprocess.Popen(["bash", "-c", command], cwd=ROOT, env=clean | home, stdout=log, stderr=log)
        started.append(process)
        return process

    yield start
    for process in reversed(started):
        process.terminate()
    for process in started:
        process.wait(60)


def test_the_recipe_for_several_machines(hand_started, tmp_path):
    assert hand_started(recipe("get-auth-token")).wait(60) == 0
    (tmp_path / ".ray" / "auth_token").chmod(0o600)
    head = hand_started(recipe("--block --head"))
    log = tmp_path / "log1"
    deadline = time.monotonic() + 60
    while "--block" not in log.read_text():
        assert head.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.5)
    node = hand_started(recipe("--block --address"))
    write_space(tmp_path)
    sweep = recipe("RAY_ADDRESS=").replace("-m steerheal.tune", shlex.quote(str(ROOT / "tests" / "fake_tune.py")))
    sweep = sweep.replace("search_spaces/barrier.yaml", shlex.quote(str(tmp_path / "small.yaml")))
    assert hand_started(sweep).wait(150) == 0, (tmp_path / "log3").read_text()
    assert head.poll() is None and node.poll() is None
    assert len((tmp_path / "runs" / "barrier" / "trials.jsonl").read_text().splitlines()) == 4
