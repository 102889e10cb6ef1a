"""A trial that keeps killing the process that computes for it, in a whole sweep."""

import pytest
from cli_sweeps import finish, mlflow_runs, start
from small import write_space

from steerheal.results import RunFolder

SETS = "reg=kl_rev lam=[0.25,0.5] alpha=0.5 sampler=grid trials=2 seeds=[0,1]".split()


@pytest.mark.slow
def test_a_trial_that_keeps_killing_its_actor_is_quarantined(tmp_path):
    space, out = write_space(tmp_path), tmp_path / "tune runs"
    (out / "traps").mkdir(parents=True)
    (out / "traps" / "heal").write_text("die lam 0.5")
    printed, _ = finish(start(space, *(word for one in SETS for word in ("--set", one))))
    good, bad = RunFolder(out / "small").trials
    assert good["verdict"] == "ok" and bad["verdict"] == "failed" and bad["params"]["lam"] == 0.5
    said = "heal: the stage's process died 3 times under this job; the trial is given up"
    assert bad["message"] == said and printed.count(said) == 1
    assert {run.info.status for run in mlflow_runs(out)[1]} == {"FINISHED", "FAILED"}
