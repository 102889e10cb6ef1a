"""Fixtures shared by the tests."""

import os
import signal

# Spinning OpenMP threads starve whatever else runs on a small machine; torch reads this when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
import torch
from tiny import FAMILIES, load

torch.set_num_threads(2)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so would every process that a test starts and interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", params=FAMILIES)
def tiny_base(request, tmp_path_factory):
    """The tiny model of each family in float64."""
    return load(request.param, tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def llama_base(tmp_path_factory):
    """One tiny model in float64 where the family does not matter."""
    return load("llama", tmp_path_factory.mktemp("tiny"))
