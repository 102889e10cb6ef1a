"""A race through the command: seeds added heat by heat, and killed in the middle of one."""

import pandas
import psutil
import pytest
from cli_sweeps import descendants, finish, mlflow_runs, start, wait_for
from small import write_space

from steerheal.results import RunFolder

pytestmark = pytest.mark.slow
RACE = "--set seeds=[0,1,2,3] --set trials=6 --set repeats=race".split()


def raced(out):
    """Of a race's rows, what is the same whatever happened in between."""
    names = ("trial", "params", "verdict", "summary", "standing", "ran", "fresh", "remeasured", "students")
    return [{name: row.get(name) for name in names} for row in RunFolder(out / "small").trials]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A race from start to end: (space file, its rows and heats, what it printed)."""
    place = tmp_path_factory.mktemp("race")
    space = write_space(place)
    printed, _ = finish(start(space, *RACE))
    out = place / "tune runs"
    return space, (raced(out), RunFolder(out / "small").heats), printed


def test_a_race_accumulates_seeds_and_computes_nothing_twice(undisturbed):
    space, _, printed = undisturbed
    out = space.parent / "tune runs"
    folder = RunFolder(out / "small")
    rows, heats = {row["trial"]: row for row in folder.trials}, folder.heats
    assert len(heats) >= 2 and printed.count("heat ") == len(heats)
    for number, row in rows.items():
        given = [seed for heat in heats for seed in heat.get(number, [])]
        assert row["ran"] + row["fresh"] == [0, *given]
        assert row["summary"]["n"] == len(row["ran"]) and set(row["students"]) == {"0", *map(str, given)}
    (winner,) = [row for row in rows.values() if row["fresh"]]
    assert winner["fresh"] == [4, 5] and winner["remeasured"]["n"] == 2
    assert {(r["trial"], r["seed"]) for r in folder.records} == {
        (number, seed) for number, row in rows.items() for seed in row["ran"] + row["fresh"]
    }
    assert len(folder.records) == len({(r["trial"], r["seed"]) for r in folder.records})
    assert all(path.name.endswith("-0") for path in (out / "ran").iterdir())
    lines = folder.completions(winner["trial"]).read_text().splitlines()
    assert len(lines) == 3 * len(winner["ran"] + winner["fresh"])
    assert f"race: {len(folder.records)} heals instead of 24" in printed and "on fresh seeds (4, 5)" in printed
    table = pandas.read_csv(folder.path / "trials.csv").set_index("trial")
    assert table["n"].to_dict() == {number: len(row["ran"]) for number, row in rows.items()}
    assert table["remeasured_gain"].dropna().index.tolist() == [winner["trial"]]
    _, runs = mlflow_runs(out)
    kinds = [run.data.tags["kind"] for run in runs]
    assert kinds.count("trial") == 6 and kinds.count("seed") == len(folder.records)
    assert {run.info.status for run in runs} == {"FINISHED"}
    (best,) = [run for run in runs if "remeasured/gain" in run.data.metrics]
    assert best.data.tags["trial"] == str(winner["trial"])
    assert best.data.metrics["gain"] == winner["summary"]["gain"]
    more, _ = finish(start(space, *RACE[:2], "--set", "trials=8", *RACE[4:], "--resume"))
    assert sorted(row["trial"] for row in folder.trials) == list(range(8)) and "trial 7" in more
    assert all(path.name.endswith("-0") for path in (out / "ran").iterdir())


def test_a_race_that_was_killed_in_a_heat_ends_as_if_undisturbed(undisturbed, tmp_path):
    space, out = write_space(tmp_path), tmp_path / "tune runs"
    process = start(space, *RACE)
    wait_for(lambda: (out / "small" / "race.jsonl").exists())
    (out / "traps").mkdir()
    (out / "traps" / "heal").write_text("sleep 2")
    wait_for(lambda: any(row["ran"] != [0] for row in RunFolder(out / "small").trials))
    started = descendants(process)
    process.kill()
    process.communicate(timeout=60)
    psutil.wait_procs(started, timeout=30)
    (out / "traps" / "heal").unlink()
    finish(start(space, *RACE, "--resume"))
    assert (raced(out), RunFolder(out / "small").heats) == undisturbed[1]
