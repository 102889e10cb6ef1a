"""A space that lists several models: a sweep for each, whose results are not compared with one another."""

import pytest
from small import write_space
from test_report import command, read
from test_tune_cli import finish, start

from steerheal.config import load_space
from steerheal.config.sources import BUILTIN_WEIGHTS
from steerheal.config.space import load_spaces
from steerheal.errors import UserError

TWO = f"model=[builtin, {{name: a/twin, path_or_hub: '{BUILTIN_WEIGHTS}', dtype: bfloat16}}]"


def test_each_model_has_a_space_that_differs_in_nothing_else(tmp_path):
    path = write_space(tmp_path)
    first, second = load_spaces(path, [TWO])
    assert (first.name, second.name) == ("small-builtin", "small-twin") and first.among == ("builtin", "twin")
    assert (first.model.dtype, second.model.dtype) == ("float32", "bfloat16")
    apart = {key for key, value in first.resolved().items() if second.resolved()[key] != value}
    assert apart <= {"name", "model", "settings"}
    (one,) = load_spaces(path)
    assert one == load_space(path) and one.among == () and "among" not in one.resolved()


@pytest.mark.parametrize(
    "changes, said",
    [
        (["model=[builtin, builtin]"], "model: a list of models holds 2 to 16, each once"),
        (["model=[builtin]"], "model: a list of models holds 2 to 16"),
        (["model=[builtin, nowhere-at-all]"], "no model settings file"),
        ([TWO, "model.dtype=float16"], "model.dtype: the space lists several models; write it into"),
    ],
)
def test_a_bad_list_is_refused(tmp_path, changes, said):
    with pytest.raises(UserError) as error:
        load_spaces(write_space(tmp_path), changes)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_where_one_is_needed_several_are_refused(tmp_path):
    with pytest.raises(UserError, match="it lists several, and one is needed here; choose one: --set model=NAME"):
        load_space(write_space(tmp_path), [TWO])


@pytest.mark.slow
def test_the_command_runs_one_sweep_after_the_other_and_compares_neither(tmp_path):
    space = write_space(tmp_path)
    asked = ["--set", TWO, "--set", "trials=2", "--set", "search.alpha=[0.5]", "--name", "mine"]
    said, _ = finish(start(space, *asked))
    assert said.count("all 2 trials in") == 2
    folders = [tmp_path / "tune runs" / f"mine-{name}" for name in ("builtin", "twin")]
    told = read(folders[1]).text
    assert "The space lists several models (builtin, twin)" in told and "results are compared within a model" in told
    refused = command("analysis.compare", *folders)
    assert refused.returncode == 2 and "results are compared within a model" in refused.stderr
