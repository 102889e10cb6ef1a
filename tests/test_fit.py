"""What does not fit the loaded model is refused before a trial begins, in one line with a remedy that works."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from small import write_space

from steerheal import cli, evaluate, heal
from steerheal.config.sections import Sample
from steerheal.config.space import load_space
from steerheal.errors import StageError, UserError
from steerheal.fit import check_fit
from steerheal.generation.answers import Ask, answer
from steerheal.generation.context import overflow
from steerheal.generation.engine import Engine
from steerheal.jobs import Evaluate, Prompt
from steerheal.steering.extract import extract
from steerheal.store import FolderStore
from steerheal.students.base import Base, load_base
from steerheal.students.rows import Row, Student
from steerheal.trial_data import load_data
from steerheal.worker import LocalStages, Worker

CONTEXT = 2048
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def base():
    return load_base("builtin", device="cpu")


def checked(folder, base, *overrides):
    space = load_space(write_space(folder), overrides)
    check_fit(space, load_data(space), base)


def refused(folder, base, *overrides):
    """What is said; always `<file>: <key>: <what>; <remedy>` in one line."""
    with pytest.raises(UserError) as error:
        checked(folder, base, *overrides)
    said = str(error.value)
    assert said.startswith(f"{folder / 'small.yaml'}: ") and "; " in said and "\n" not in said
    return said.removeprefix(f"{folder / 'small.yaml'}: ")


def test_blocks_that_the_model_lacks(tmp_path, base):
    checked(tmp_path, base, "layers=[0, 7]")
    said = refused(tmp_path, base, "layers=[3, 8]")
    assert said.startswith("settings.steer.layers: there is no block 8") and "0 to 7" in said
    said = refused(tmp_path, base, "search={layers: [[3], [99, 4]]}", "trials=2")
    assert said.startswith("search.layers: there is no block 99")
    checked(tmp_path, base, "search={layers: [[3], [6, 4]]}", "trials=2")


def test_every_depth_yields_a_block_of_the_model():
    bounds = [step / 20 for step in range(21)]
    for count in (1, 2, 3, 8, 34, 80):
        model = SimpleNamespace(blocks=range(count))
        for low in bounds:
            for high in bounds[bounds.index(low) + 1 :]:
                found = Base.depth_blocks(model, low, high)
                assert found and 0 <= min(found) and max(found) < count


@pytest.mark.parametrize(
    "key, section, texts",
    [("max_new_tokens", "sample", "prompts"), ("think_tokens", "evaluate", "vignettes")],
)
def test_new_tokens_beyond_the_context(key, section, texts, tmp_path, base):
    said = refused(tmp_path, base, f"{key}={CONTEXT}")
    assert said.startswith(f"settings.{section}.{key}: the longest of the {texts} takes ") and str(CONTEXT) in said
    room = int(re.search(rf"lower {key} to (\d+)", said)[1])
    checked(tmp_path, base, f"{key}={room}")
    assert f"lower {key} to {room}" in refused(tmp_path, base, f"{key}={room + 1}")


def test_the_largest_searched_value_counts(tmp_path, base):
    said = refused(tmp_path, base, "search={max_new_tokens: {low: 8, high: 2048}}")
    assert said.startswith("search.max_new_tokens: ") and "adds 2048" in said


def test_texts_that_are_too_long_by_themselves(tmp_path, base):
    write_space(tmp_path)
    long = "The harbour is calm. " * 700
    (tmp_path / "long.jsonl").write_text('{"id": "a", "text": "%s"}\n' % long)
    said = refused(tmp_path, base, "data.contexts=long.jsonl")
    assert said.startswith("data.contexts: the longest of the contexts") and said.endswith("shorten the contexts")
    said = refused(tmp_path, base, "data.prompts=long.jsonl")
    assert said.endswith("; shorten the prompts")
    suite = (tmp_path / "canaries.yaml").read_text().replace("What is g?", long.strip())
    (tmp_path / "long.yaml").write_text(suite)
    assert "canaries" in refused(tmp_path, base, "data.canaries=long.yaml")
    checked(tmp_path, base, "data.canaries=long.yaml", "canary_samples=0")


def test_a_model_without_a_stated_context_is_not_limited():
    assert overflow("prompts", 10**6, "max_new_tokens", 1, None) is None


def test_a_template_that_drops_answers_is_refused(tmp_path):
    base = load_base("builtin", device="cpu")
    base.tokenizer.chat_template = "{{ messages[0]['content'] }}"
    assert refused(tmp_path, base).startswith("model: its chat template cannot hold")


def test_in_a_stage_it_is_a_recorded_outcome(tmp_path, base):
    data = load_data(load_space(write_space(tmp_path)))
    stages = LocalStages(Worker(base, FolderStore(tmp_path / "store")))
    job = Evaluate(base.fingerprint, (), None, None, data.vignettes, data.instrument, CONTEXT)
    with pytest.raises(StageError, match=r"^evaluate: think_tokens: the longest of the vignettes takes \d+ tokens"):
        stages.run([job])


def test_single_steps_refuse_it_too(tmp_path, base, monkeypatch, capsys):
    settings = Sample(max_new_tokens=CONTEXT)
    ask = Ask(Prompt("p", "Hello?"), Row(Student("base")), "You help.", settings, 0, 0)
    with pytest.raises(UserError, match="^max_new_tokens: .*; lower max_new_tokens to"):
        answer(Engine(base), [ask])
    with pytest.raises(UserError, match="^contexts: .*; shorten the contexts"):
        extract(base, Student("base"), "a", "b", ["word " * 3000], None, "mean_diff")
    (tmp_path / "pairs.jsonl").write_text('{"prompt": "Hello?", "completion": "Hello."}\n')
    healing = ["--data", tmp_path / "pairs.jsonl", "--out", tmp_path / "healed", "--max-tokens", CONTEXT + 1]
    for module, words in ((evaluate, ["--think-tokens", CONTEXT, "--first", 1]), (heal, healing)):
        monkeypatch.setattr("sys.argv", ["x", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.run(module.main)
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert stop.value.code == 2 and len(said) == 1 and str(CONTEXT) in said[0]
    assert not (tmp_path / "healed").exists()


def test_a_sweep_says_so_in_one_line_and_writes_nothing(tmp_path):
    space = write_space(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    words = [sys.executable, "-m", "steerheal.tune", space, "--out", tmp_path / "runs", "--set", "layers=[99]"]
    made = subprocess.run(list(map(str, words)), cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=120)
    assert made.returncode == 2 and made.stderr.count("\n") == 1
    assert made.stderr.startswith(f"error: {space}: settings.steer.layers: there is no block 99")
    assert sorted(tmp_path.rglob("*")) == before
