"""What the tests of actors ask of them, and the traps that they lay (`fakes`)."""

import os
import sys

from steerheal.config import Dose, Filter, Sample
from steerheal.jobs import Collect, Extract, Prompt, Steering

# Ray's processes find the fakes.
PATHS = {"PYTHONPATH": os.pathsep.join(sys.path)}


def collect(number, dose=0.5):
    prompts = (Prompt("p", "Hello?"),)
    return Collect("fake", (), Steering("v", dose), "", prompts, number, 0, Sample(), Dose(), Filter())


def extract(text):
    return Extract("fake", (), text, "negative", ("context",), None, "mean_diff")


def ran(root, job):
    return len(list((root / "ran").glob(f"{job.stage}-{job.key}-*")))


def trap(root, stage, text):
    (root / "traps").mkdir(exist_ok=True)
    (root / "traps" / stage).write_text(text)


def forget(root, stage):
    (root / "traps" / stage).unlink(missing_ok=True)
