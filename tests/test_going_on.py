"""What `--resume` may go on with, and what the run then says of itself."""

import argparse
import json

import pytest
from recorded import write_sweep
from small import write_space

from steerheal import tune, yaml_io
from steerheal.config.space import load_space
from steerheal.errors import UserError
from steerheal.results import RunFolder
from steerheal.trial_data import load_data


@pytest.fixture
def run(tmp_path):
    return RunFolder(write_sweep(tmp_path))


def prepared(run, *overrides):
    space = load_space(run.path.parent / "small-files" / "small.yaml", overrides)
    return tune.check_data(space, load_data(space), run)


@pytest.mark.parametrize("name", ["vignettes", "prompts", "contexts"])
def test_data_that_has_changed_since_is_refused(run, name):
    prepared(run)
    path = run.path.parent / "small-files" / f"{name}.jsonl"
    first, *others = path.read_text().splitlines()
    row = json.loads(first)
    path.write_text("\n".join([json.dumps(row | {"text": row["text"] + " Again."}), *others]))
    with pytest.raises(UserError, match=f"^[^\n]*: data.{name}: {name}.jsonl has changed since .*; restore it, or"):
        prepared(run)


def test_a_folder_without_a_record_of_its_data_is_gone_on_with(run):
    (run.path / "about.json").unlink()
    prepared(run)
    (run.path / "about.json").write_text("[]")
    with pytest.raises(UserError, match="about.json: is not what the sweep wrote"):
        prepared(run)


def test_a_space_file_that_is_none(tmp_path, run):
    (run.path / "space.yaml").write_text("- a list\n")
    with pytest.raises(UserError, match="space.yaml: is no space"):
        tune.check_same(load_space(write_space(tmp_path)), run)


def test_an_extended_run_says_how_many_trials_it_has_and_stays_held(run):
    run.hold()
    space = yaml_io.load(run.path / "space.yaml")
    run.update(yaml_io.dump(space | {"trials": 30}))
    assert yaml_io.load(run.path / "space.yaml") == space | {"trials": 30}
    with pytest.raises(UserError, match="another process runs this sweep"):
        RunFolder(run.path).hold()


def test_the_command_that_goes_on_names_the_run(tmp_path):
    asked = tune.parser().parse_args([str(write_space(tmp_path)), "--out", str(tmp_path / "runs")])
    RunFolder(tmp_path / "runs" / "small").create("")
    (space,) = [load_space(asked.space)]
    *_, folder, resuming, command = tune.prepared(space, asked)
    assert folder.path.name == "small-2" and not resuming and command.endswith(" --resume")
    words = tune.parser().parse_args(command.split(" -m steerheal.tune ")[1].split())
    assert (words.name, words.resume) == ("small-2", True)


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    asked = argparse.Namespace(out=tmp_path / "file", name=None, resume=False, overrides=[], space=tmp_path)
    with pytest.raises(UserError, match="^--out: .*file cannot be written to; choose another folder$"):
        tune.prepared(load_space(write_space(tmp_path)), asked)
