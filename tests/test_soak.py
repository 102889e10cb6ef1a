"""A slice of the soak: an actor, a trial and the driver of one sweep are killed, each at a point of its own."""

import pytest
from soak.cells import run, undisturbed


@pytest.mark.slow
def test_a_sweep_whose_parts_were_killed_ends_as_if_undisturbed():
    control = undisturbed()
    try:
        outcome = run("mixed/0", control)
    finally:
        control.close()
    assert outcome.kills == 3 and not outcome.wrong, outcome.line
