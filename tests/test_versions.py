"""What is installed is what pyproject.toml allows, and each bound that is there for a known hole says so."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "pyproject.toml").read_text()
PROJECT = tomllib.loads(TEXT)["project"]
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#")
EVERY = [Requirement(text) for text in [*PROJECT["dependencies"], *sum(PROJECT["optional-dependencies"].values(), [])]]


@pytest.mark.parametrize("wanted", EVERY, ids=lambda wanted: f"{wanted.name}{wanted.specifier}")
def test_installed_and_pinned_versions_are_within_the_bounds(wanted):
    assert wanted.specifier.contains(PINS[wanted.name]), "constraints.txt"
    try:
        assert wanted.specifier.contains(version(wanted.name), prereleases=True)
    except PackageNotFoundError:
        pytest.skip(f"{wanted.name} is not installed")


@pytest.mark.parametrize("name", ["ray", "torch", "mlflow"])
def test_a_bound_for_a_known_hole_gives_its_reason(name):
    assert re.search(rf'"{name}[^"]*",  # .*CVE-\d{{4}}-\d+', TEXT), f"no reason beside {name}'s bound"
