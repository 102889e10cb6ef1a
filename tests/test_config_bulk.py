"""Ten thousand space files from a seed: valid, mutated, hostile. Each is accepted and round-trips, or is refused in one
line within a second; while they are read nothing is run, written or connected to.
"""

import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from steerheal import yaml_io
from steerheal.config import load_space
from steerheal.errors import UserError

FILES, WORKERS = 10_000, 2
PERSONA = "{name: warm, positive: Be warm., negative: Be cold., target: care, sign: 1, companions: [social]}"
HEAD = f"hypothesis: warmth\npersona: {PERSONA}\n"
LINES = [
    "alpha: {n}",
    "trials: {i}",
    "rounds: {i}",
    "seeds: [0, {i}]",
    "sampler: grid",
    "sampler: optuna",
    "name: run-{i}",
    "stop: {{coherence_below: {f}}}",
    "resources: {{placement: spread, trainer: {{gpus: {i}}}}}",
    "resources: {{concurrent: {i}, pack: {i}}}",
    "settings: {{heal: {{lr: {f}, wd: {n}}}, dose: {{kappa_min: {f}}}}}",
    "settings: {{steer: {{method: pca, layers: [3, 4]}}, evaluate: {{vignettes: {i}}}}}",
    "search: {{reg: [nll, kl_rev], lam: {{low: 0.03, high: {n}, log: true, when: {{reg: [kl_rev]}}}}}}",
    "search: {{wd: {{choices: [0, {n}]}}, alpha: [{f}, {n}]}}",
    "search: {{r: {{low: 4, high: {i}}}}}",
]
ODD = [
    "!!python/object/apply:os.system ['touch CANARY']",
    "!!python/name:os.system",
    "!!binary aGk=",
    "&a [*a]",
    "*a",
    "<<",
    "{{}.__class__}",
    "${HOME}",
    "$(touch CANARY)",
    "`touch CANARY`",
    "../../../etc/passwd",
    "/dev/zero",
    "file:///etc/passwd",
    ".nan",
    "-.inf",
    "1e400",
    "9" * 400,
    "0x" + "f" * 60,
    "no",
    "~",
    "",
    "\t",
    "'",
    '"\\ud800"',
    "\0",
    "\x1b[2J",
    "[" * 50,
    "{a: " * 30,
    "- " * 40,
    "? x",
    "--- x",
    "%YAML 1.1",
    "%TAG ! !x",
    "\u2028",
    "é" * 90,
    "x" * 9000,
    "hub:a/../b",
    "|",
    ">",
]
KEYS = [
    "model",
    "data",
    "persona",
    "settings",
    "search",
    "__class__",
    "__init__",
    "stop",
    "when",
    "lr",
    "a.b",
    "<<",
    "*",
    "1",
]
RUNS = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "pickle.find_class",
    "socket.connect",
    "ctypes",
)


def numbers(draw):
    return {"n": round(draw.uniform(0, 40), 2), "f": round(draw.random(), 3), "i": draw.randrange(70)}


def valid(draw):
    chosen = {line.split(":")[0]: line for line in draw.sample(LINES, draw.randrange(5))}
    return HEAD + "".join(line.format(**numbers(draw)) + "\n" for line in chosen.values())


def mutated(draw):
    text = valid(draw)
    for _ in range(draw.randint(1, 3)):
        at, cut = draw.randrange(len(text) + 1), draw.choice([0, 1, 5])
        put = draw.choice(["", draw.choice(ODD), chr(draw.randrange(32, 0x2FF)), ": ", "\n"])
        text = text[:at] + put + text[at + cut :]
    return text


def hostile(draw):
    lines = [f"{draw.choice(KEYS)}: {draw.choice(ODD)}" for _ in range(draw.randint(1, 2))]
    nested = draw.choice(["{0}", "settings: {{heal: {{lr: {0}}}}}", "search: {{lam: {0}}}", "data: {{vignettes: {0}}}"])
    lines.append(nested.format(draw.choice(ODD)))
    return (
        HEAD
        + draw.choice(["", "alpha: 1\n" * 2, "#" * 70_000 + "\n"] if draw.random() < 0.1 else [""])
        + "\n".join(lines)
    )


def read(path, text):
    """(Whether it was accepted, what went wrong)."""
    path.write_bytes(text.encode(errors="replace"))
    began = time.process_time()
    try:
        space = load_space(path)
    except UserError as error:
        line = str(error)
        good = "\n" not in line and line.isprintable() and "; " in line and len(line) < 1200
        return False, "" if good and time.process_time() - began < 1 else f"refused badly: {line[:300]!r}"
    slow = time.process_time() - began > 1
    path.write_text(yaml_io.dump(space.resolved()), encoding="utf-8")
    return True, "took long" if slow else "" if load_space(path) == space else "does not round-trip"


def read_many(seed, count, folder):
    """Accepted, and per file what went wrong, and what was done besides reading."""
    draw, path, done = random.Random(seed), Path(folder) / f"{seed}.yaml", []
    read(path, valid(draw))  # what is imported late, now

    def watch(event, arguments):
        writes = event == "open" and "w" in str(arguments[1] or "r") and str(arguments[0]) != str(path)
        if event.startswith(RUNS) or writes:
            done.append((event, str(arguments)))

    sys.addaudithook(watch)
    accepted, wrong = 0, []
    for _ in range(count):
        text = draw.choices([valid, mutated, hostile], [1, 3, 6])[0](draw)
        try:
            good, problem = read(path, text)
        except Exception as crash:
            good, problem = False, repr(crash)
        accepted += good
        wrong += [(problem, text)] if problem else []
    return accepted, wrong, done


@pytest.mark.slow
def test_ten_thousand_spaces(tmp_path):
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        tasks = [pool.submit(read_many, seed, FILES // WORKERS, str(tmp_path)) for seed in range(WORKERS)]
        answers = [task.result(timeout=280) for task in tasks]
    assert not [wrong for _, wrong, _ in answers if wrong]
    assert not [done for _, _, done in answers if done]
    assert sum(accepted for accepted, _, _ in answers) > FILES // 20
    assert not list(tmp_path.rglob("CANARY")) and not Path("CANARY").exists()
