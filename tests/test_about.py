"""What MLflow is told of a sweep: data by content, code by commit, settings as in force, no paths."""

import json
import subprocess

from small import write_space

from steerheal import yaml_io
from steerheal.config.space import load_space
from steerheal.tracking import about
from steerheal.tracking.about import about_sweep, code_version, in_force
from steerheal.trial_data import load_data


def told(folder):
    space = load_space(write_space(folder))
    return about_sweep(space, load_data(space), folder / "run" / "space.yaml", "fingerprint")


def test_data_is_told_by_content_not_by_place(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "secret place").mkdir()
    one, other = told(tmp_path / "a"), told(tmp_path / "secret place")
    assert one.data == other.data and one.tags == other.tags
    assert {data.kind: data.source for data in one.data} == {
        "vignettes": "vignettes.jsonl",
        "instrument": "builtin",
        "canaries": "canaries.yaml",
        "prompts": "prompts.jsonl",
        "contexts": "contexts.jsonl",
    }
    assert {data.kind: data.rows for data in one.data}["contexts"] == 4
    assert one.space == other.space and "secret" not in repr(other)


def test_the_space_is_told_with_names_and_digests_instead_of_places(tmp_path):
    folder = tmp_path / "secret place"
    folder.mkdir()
    path = write_space(folder)
    local = folder / "my model"
    local.mkdir()
    (local / "config.json").write_text("{}")
    path.write_text(path.read_text().replace("model: builtin", "model: my model"))
    space = load_space(path)
    said = about_sweep(space, load_data(space), folder / "run" / "space.yaml", "fingerprint")
    logged = yaml_io.loads(said.space, "space.yaml")
    kinds = {one.kind: {"name": one.source, "digest": one.digest} for one in said.data}
    assert logged["data"] == kinds and logged["model"]["path_or_hub"] == "my model"
    assert str(tmp_path) not in said.space and str(tmp_path) in yaml_io.dump(space.resolved())
    resolved = json.loads(json.dumps(space.resolved()))
    assert {key for key in resolved if logged[key] != resolved[key]} == {"data", "model"}


def test_a_changed_vignette_changes_its_digest_alone(tmp_path):
    before = {data.kind: data.digest for data in told(tmp_path).data}
    space = load_space(write_space(tmp_path))
    vignettes = tmp_path / "vignettes.jsonl"
    vignettes.write_text(vignettes.read_text().replace("You see it.", "You saw it."))
    after = {data.kind: data.digest for data in about.datasets(space, load_data(space))}
    assert {kind for kind in before if before[kind] != after[kind]} == {"vignettes"}


def test_every_searched_setting_has_the_value_in_force(tmp_path):
    space = load_space(write_space(tmp_path))
    assert in_force(space, {"reg": "nll", "alpha": 0.5}) == {"reg": "nll", "lam": 0.0, "alpha": 0.5}
    point = {"reg": "kl_rev", "lam": 0.3, "alpha": 1.0}
    assert in_force(space, point) == point


def test_code_is_told_by_commit_where_there_is_one(tmp_path, monkeypatch):
    package = tmp_path / "steerheal"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(about, "PACKAGE", package)
    assert "mlflow.source.git.commit" not in code_version()

    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True)

    git("init")
    git("commit", "--allow-empty", "-m", "somebody's own checkout")
    assert "mlflow.source.git.commit" not in code_version()
    git("add", ".")
    git("commit", "-m", "ours")
    assert len(code_version()["mlflow.source.git.commit"]) == 40
    assert code_version()["mlflow.source.git.dirty"] == "false"
    (package / "__init__.py").write_text("changed = True")
    assert code_version()["mlflow.source.git.dirty"] == "true"
