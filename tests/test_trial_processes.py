"""What becomes of a trial when its process is killed: Ray, Tune and Optuna are real, the worker is arithmetic."""

from cli_sweeps import descendants, finish, heals, start, wait_for
from small import write_space

from steerheal.results import RunFolder


def test_a_trial_is_begun_again_though_every_other_process_waits_for_what_it_will_show(tmp_path):
    """The search proposes its trials in batches, the next when the last has ended."""
    space, out = write_space(tmp_path), tmp_path / "tune runs"
    (out / "traps").mkdir(parents=True)
    (out / "traps" / "heal").write_text("sleep 4")
    process = start(space, "--set", "trials=6")
    try:
        wait_for(lambda: (out / "batches.txt").exists() and heals(out))
        trials = [child for child in descendants(process) if "ImplicitFunc" in child.name()]
        assert len(trials) == 2
        trials[0].kill()
        (out / "traps" / "heal").unlink()
        finish(process)
    finally:
        process.kill()
    rows = RunFolder(out / "small").trials
    assert [row["trial"] for row in rows] == list(range(6)) and {row["verdict"] for row in rows} <= {
        "ok",
        "weak",
        "broad",
    }
