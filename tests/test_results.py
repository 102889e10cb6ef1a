"""The run's folder: torn lines, half-finished trials, names."""

import json

import pandas
import pytest

from steerheal.errors import UserError
from steerheal.leftovers import use_store
from steerheal.results import RunFolder, append_lines, fresh_name, latest_run, read_lines


def row(number, **summary):
    figures = {"gain": 0.5, "coherence": 0.99, "slope": float("nan"), "verdict": "ok"} | summary
    return {
        "trial": number,
        "params": {"reg": "nll", "layers": [1, 2]},
        "verdict": "ok",
        "summary": figures,
        "message": "",
        "seconds": 1.0,
    }


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "run")
    made.create("name: run\n")
    made.recover()
    return made


def test_finished_trials_are_rows_everywhere(folder):
    for number in (1, 0):
        folder.finish(row(number), [{"seed": 0, "round": 0}, {"seed": 1, "round": 0}], [{"text": "ü", "kept": False}])
    assert [line["trial"] for line in folder.trials] == [0, 1]
    assert [line["trial"] for line in folder.records] == [1, 1, 0, 0]
    folder.write_tables()
    table = pandas.read_csv(folder.path / "trials.csv")
    assert list(table["trial"]) == [0, 1] and list(table["layers"]) == ["[1, 2]"] * 2 and table["slope"].isna().all()
    assert pandas.read_parquet(folder.path / "trials.parquet")["gain"].tolist() == [0.5, 0.5]
    assert table["tied"].isna().all()
    assert read_lines(folder.completions(1)) == [{"text": "ü", "kept": False}]


def test_the_tables_say_who_is_tied_with_the_best(folder):
    def judged(change):
        return {str(n): {"gain": 1 + n / 50, "coherence": 0.99, "d_coherence": change - n / 1e4} for n in range(3)}

    for number, change in enumerate((-0.01, -0.0101, -0.05)):
        folder.finish(row(number, slope=-100 * change, judged=judged(change)), [], [])
    folder.write_tables()
    assert pandas.read_csv(folder.path / "trials.csv")["tied"].tolist() == [True, True, False]
    assert pandas.read_parquet(folder.path / "trials.parquet")["tied"].tolist() == [True, True, False]


def test_the_tables_follow_the_trials_and_rest_after_they_were_written(folder):
    def told():
        folder.refresh_tables()
        return pandas.read_csv(folder.path / "trials.csv")["trial"].tolist()

    folder.finish(row(0), [], [])
    assert told() == [0]
    folder.finish(row(1), [], [])
    assert told() == [0]
    folder.rests_until = 0.0
    assert told() == [0, 1]
    (folder.path / "trials.csv").unlink()
    folder.rests_until = 0.0
    folder.refresh_tables()
    assert not (folder.path / "trials.csv").exists(), "nothing has ended since"


def test_a_trial_that_runs_again_keeps_one_line_and_its_rounds_accumulate(folder):
    folder.finish(row(0) | {"ran": [0], "fresh": []}, [{"seed": 0, "round": 0}], [])
    folder.finish(row(1) | {"ran": [0], "fresh": []}, [{"seed": 0, "round": 0}], [])
    folder.finish(row(0, gain=0.7) | {"ran": [0, 1], "fresh": []}, [{"seed": 1, "round": 0}], [])
    assert [(line["trial"], line["ran"]) for line in folder.trials] == [(0, [0, 1]), (1, [0])]
    assert [(line["trial"], line["seed"]) for line in folder.records] == [(0, 0), (1, 0), (0, 1)]


def test_what_was_told_of_earlier_seeds_stays_where_the_store_has_forgotten_it(folder):
    told = lambda seed, text: {"seed": seed, "text": text, "kept": True}
    folder.finish(row(0) | {"ran": [0], "fresh": []}, [], [told(0, "first")], [told(0, "answer")])
    folder.finish(row(0) | {"ran": [0, 1], "fresh": []}, [], [told(0, "again"), told(1, "second")], [told(1, "other")])
    assert [line["text"] for line in read_lines(folder.completions(0))] == ["again", "second"]
    assert [line["text"] for line in read_lines(folder.answers(0))] == ["answer", "other"]


def test_rounds_of_a_heat_that_was_interrupted_are_dropped(folder):
    folder.finish(row(0) | {"ran": [0], "fresh": []}, [{"seed": 0, "round": 0}], [])
    append_lines(folder.path / "records.jsonl", [{"trial": 0, "seed": 1, "round": 0}])
    folder.recover()
    assert [line["seed"] for line in read_lines(folder.path / "records.jsonl")] == [0]


def test_a_heat_is_written_down_before_it_runs(folder):
    folder.plan({3: [1], 12: [1, 2]})
    folder.plan({3: [2]})
    assert folder.heats == [{3: [1], 12: [1, 2]}, {3: [2]}]


def test_every_torn_end_is_dropped_and_cut_before_the_next_line_and_one_that_is_read_stays(tmp_path):
    path = tmp_path / "lines.jsonl"
    append_lines(path, [{"a": 1}, {"b": "é"}])
    whole = path.read_bytes()
    for length in range(1, len(whole) + 1):
        path.write_bytes(whole[:length])
        kept = whole[:length].count(b"\n")
        torn_but_whole_json = whole[:length].rpartition(b"\n")[2] in (b'{"a": 1}', '{"b": "é"}'.encode())
        assert len(read_lines(path)) == kept + torn_but_whole_json
        append_lines(path, [{"c": 3}])
        assert read_lines(path)[-1] == {"c": 3} and len(read_lines(path)) == kept + torn_but_whole_json + 1


def test_a_damaged_line_in_the_middle_is_an_error(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text('{"a": 1}\n{"b"\n{"c": 3}\n')
    with pytest.raises(UserError, match="line 2"):
        read_lines(path)


def test_rounds_of_a_trial_that_never_finished_go(folder):
    folder.finish(row(0), [{"seed": 0, "round": 0}], [])
    append_lines(folder.path / "records.jsonl", [{"trial": 1, "seed": 0, "round": 0}])
    folder.recover()
    assert [line["trial"] for line in read_lines(folder.path / "records.jsonl")] == [0]
    before = (folder.path / "records.jsonl").read_bytes()
    folder.recover()
    assert (folder.path / "records.jsonl").read_bytes() == before


def test_nothing_that_is_not_json_is_written(folder):
    folder.finish(row(0), [{"seed": 0, "round": 0, "heal": {"steps": [{"nll": float("inf")}]}}], [])
    text = (folder.path / "records.jsonl").read_text() + (folder.path / "trials.jsonl").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert json.loads(text.splitlines()[0])["heal"]["steps"][0]["nll"] is None


def test_names_are_never_taken_twice(tmp_path):
    assert fresh_name(tmp_path, "barrier") == "barrier" and latest_run(tmp_path, "barrier") is None
    for name in ("barrier", "barrier-2", "barrier-10", "barrier-x", "other"):
        RunFolder(tmp_path / name).create("")
    assert fresh_name(tmp_path, "barrier") == "barrier-11" and latest_run(tmp_path, "barrier") == "barrier-10"
    assert fresh_name(tmp_path, "bar") == "bar"


def test_a_folder_without_its_space_file_is_taken_a_run_is_not(tmp_path):
    (tmp_path / "run").mkdir()
    RunFolder(tmp_path / "run").create("name: run\n")
    with pytest.raises(UserError, match="taken this name"):
        RunFolder(tmp_path / "run").create("name: other\n")
    assert (tmp_path / "run" / "space.yaml").read_text() == "name: run\n"


def test_one_process_at_a_time_runs_a_sweep(folder):
    folder.hold()
    with pytest.raises(UserError, match="another process runs this sweep"):
        RunFolder(folder.path).hold()
    folder.held.close()
    RunFolder(folder.path).hold()


def test_what_a_kill_left_half_written_goes_and_the_tables_are_whole_again(folder):
    folder.finish(row(0), [{"seed": 0, "round": 0}], [{"text": "a"}])
    folder.write_tables()
    whole = (folder.path / "trials.csv").read_bytes()
    for name in (".part-a", "completions/.part-b", "canaries/.part-c"):
        (folder.path / name).write_text("half")
    (folder.path / ".part-tune" / "sweep").mkdir(parents=True)
    (folder.path / "trials.csv").unlink()
    RunFolder(folder.path).recover()
    assert not list(folder.path.rglob(".part-*")) and (folder.path / "trials.csv").read_bytes() == whole


def test_half_written_artefacts_go_unless_somebody_may_be_writing_them(tmp_path):
    (tmp_path / "store" / ".part-a").mkdir(parents=True)
    with use_store(tmp_path / "store"):
        assert not list((tmp_path / "store").glob(".part-*"))
        (tmp_path / "store" / ".part-b").mkdir()
        with use_store(tmp_path / "store"):
            assert (tmp_path / "store" / ".part-b").exists()
        assert (tmp_path / "store" / ".part-b").exists()
    assert not (tmp_path / "store" / ".part-b").exists()
