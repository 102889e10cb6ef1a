"""The report: what it says of finished, half-finished, single-seed and old sweeps; nothing unescaped."""

import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from recorded import TRIALS, write_sweep

from analysis.html import raw, tag
from analysis.load import read_sweep
from analysis.nextsteps import next_steps
from analysis.report import write_report
from analysis.words import ONE_SEED, answer
from steerheal import tune
from steerheal.config.space import load_space
from steerheal.errors import UserError

ROOT = Path(__file__).parents[1]
SEEDS = ("seeds=[0,1,2]", "rounds=2")
HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
FAMILIES = {
    "trait_coherence",
    "lam_gain",
    "lam_coherence",
    "lam_heal_loss",
    "rounds_gain",
    "rounds_coherence",
}
FAMILIES |= {"filter", "heal_loss", "pressure"}


class Text(HTMLParser):
    """What a reader sees, and the elements that there are."""

    def __init__(self, page: str):
        super().__init__()
        self.elements, self.anchors, self.said, self.hidden = set(), [], [], 0
        self.feed(page)

    def handle_starttag(self, name, attributes):
        self.elements.add(name)
        self.anchors += [value for key, value in attributes if key == "id" and name == "section"]
        self.hidden += name == "style"

    def handle_endtag(self, name):
        self.hidden -= name == "style"

    def handle_data(self, data):
        self.said += [] if self.hidden else [data]

    @property
    def text(self):
        return " ".join(" ".join(self.said).split())


def read(folder: Path) -> Text:
    """The report of a folder, made now."""
    return Text(write_report(folder).read_text())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished sweep of three seeds, two rounds, with starved, diverged and failed trials."""
    return write_sweep(tmp_path_factory.mktemp("runs"), *SEEDS)


@pytest.fixture(scope="module")
def page(whole):
    return read(whole)


def test_the_parts_follow_from_the_question_to_the_next_run(page):
    assert page.anchors == [
        "answer",
        "words",
        "leaderboard",
        "differences",
        "trade",
        "ladder",
        "rounds",
        "filter",
        "healing",
        "texts",
        "completions",
        "canaries",
        "cost",
        "next",
        "settings",
    ]
    assert "the plumbing holds" in page.text and "All 7 trials finished" in page.text


def test_every_trial_and_every_verdict_is_there(whole, page):
    sweep = read_sweep(whole)
    assert len(sweep.rows) == len(TRIALS)
    assert {row["verdict"] for row in sweep.rows} == {"ok", "starved", "diverged", "failed"}
    for verdict in ("starved", "diverged", "failed"):
        assert f"1 trial with the verdict {verdict}" in page.text
    assert "heal: <b>it was told to fail</b>" in page.text
    assert not re.search(r"\b(nan|NaN|null|inf)\b", page.text)


def test_the_answer_names_the_leader_its_interval_and_what_cannot_be_told_apart(whole):
    sweep = read_sweep(whole)
    said = " ".join(filter(None, answer(sweep)))
    assert f"Trial {sweep.order[0]} (" in said and "90% interval" in said and "over 3 seeds" in said
    assert "really differ in gain" in said and "cannot be told from noise at 3 seeds" in said


def test_figures_are_files_too_and_the_page_needs_nothing_else(whole, page):
    for kind in ("png", "svg"):
        assert {path.stem for path in (whole / "plots").glob(f"*.{kind}")} == FAMILIES
    made = (whole / "report.html").read_text()
    assert page.elements.isdisjoint({"script", "link", "img", "iframe", "object"})
    assert not re.search(r'(?:src|href)="(?!#)', made) and "@import" not in made and "url(http" not in made


def test_the_recorded_files_are_enough_and_give_the_same_page(whole, page, tmp_path):
    before = (whole / "report.html").read_bytes()
    assert write_report(whole).read_bytes() == before
    shutil.copytree(whole, tmp_path / "elsewhere")
    assert read(tmp_path / "elsewhere").anchors == page.anchors


def test_a_run_of_an_older_version_lacks_parts_but_not_the_page(whole, page, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(whole, old)
    shutil.rmtree(old / "canaries")
    shutil.rmtree(old / "completions")
    shutil.rmtree(old / "vignettes")
    (old / "about.json").unlink()
    lines = (old / "records.jsonl").read_text()
    (old / "records.jsonl").write_text(lines.replace('"canary_base"', '"x"').replace('"canary_steered"', '"y"'))
    assert set(page.anchors) - set(read(old).anchors) == {"texts", "completions", "filter"}


def test_one_seed_shows_no_difference_and_asks_for_three(tmp_path):
    folder = write_sweep(tmp_path)
    said = read(folder).text
    assert ONE_SEED in said and "seeds=[0,1,2]" in said
    assert "Which differences are real" not in said and "tied" not in " ".join(filter(None, answer(read_sweep(folder))))


def test_a_half_finished_sweep_is_reported_as_far_as_it_is(tmp_path):
    folder = write_sweep(tmp_path, *SEEDS, finished=2)
    said = read(folder).text
    assert "2 of 7 trials finished" in said and "--resume" in said
    with (folder / "trials.jsonl").open("a") as stream:
        stream.write('{"trial": 2, "params"')
    assert "2 of 7 trials finished" in read(folder).text


def test_without_a_finished_trial_the_page_says_so(tmp_path):
    folder = write_sweep(tmp_path, finished=0)
    made = command("analysis.report", folder)
    assert made.returncode == 0 and made.stdout.strip() == str(folder / "report.html")
    page = Text((folder / "report.html").read_text())
    assert "No trial has finished yet of the 7 asked for" in page.text and page.anchors[-1] == "settings"


def test_no_trial_may_be_worth_ranking(tmp_path):
    folder = write_sweep(tmp_path, *SEEDS, trials=TRIALS[4:])
    assert "None of the 3 finished trials reached the verdict ok" in read(folder).text


def test_what_is_no_sweep_is_refused_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder, what in ((tmp_path / "empty", "has no space.yaml"), (tmp_path / "away", "no such folder")):
        made = command("analysis.report", folder)
        assert made.returncode == 2 and made.stderr.count("\n") == 1 and what in made.stderr
    with pytest.raises(UserError, match="cannot be written"):
        write_report(write_sweep(tmp_path), tmp_path / "small" / "space.yaml" / "page.html")


def test_with_a_place_of_its_own_the_page_leaves_the_run_as_it_is(tmp_path):
    folder = write_sweep(tmp_path)
    before = sorted(folder.rglob("*"))
    write_report(folder, tmp_path / "page.html")
    assert sorted(folder.rglob("*")) == before and (tmp_path / "page.html").stat().st_size > 10_000


def test_trials_that_share_no_vignettes_have_no_intervals_over_them(tmp_path):
    folder = write_sweep(tmp_path)
    lines = (folder / "vignettes" / "trial-001.jsonl").read_text()
    (folder / "vignettes" / "trial-001.jsonl").write_text(lines.replace('"id": "v', '"id": "other'))
    assert read(folder).text


def test_what_models_and_users_wrote_stays_text(tmp_path):
    page = read(hostile(tmp_path))
    assert page.elements.isdisjoint({"script", "img"})
    assert page.text.count("window.hacked") >= 8


def hostile(place: Path) -> Path:
    """A sweep in which prompts, completions, answers, hypothesis and messages are markup."""
    folder = write_sweep(place, *SEEDS)
    quoted = HOSTILE.replace('"', "'")
    for path in [*(folder / "completions").iterdir(), *(folder / "canaries").iterdir()]:
        text = path.read_text()
        for said in ("says <b>g</b>", '"text": "seed', "Hello?", "What is g?", "perplexity 60"):
            text = text.replace(said, said + quoted)
        path.write_text(text)
    path = folder / "space.yaml"
    path.write_text(path.read_text().replace("the plumbing holds", quoted.replace("'", "")))
    path = folder / "trials.jsonl"
    path.write_text(path.read_text().replace("it was told", quoted))
    return folder


def test_only_markup_of_our_own_is_not_escaped():
    assert tag("p", "<b>", raw("<i>"), None, ["&"], title='"') == '<p title="&quot;">&lt;b&gt;<i>&amp;</p>'


def test_what_to_run_next_can_be_run(tmp_path):
    for overrides in ((), SEEDS):
        for step in next_steps(read_sweep(write_sweep(tmp_path / str(len(overrides)), *overrides, finished=4))):
            for line in (step.command or "").splitlines():
                _, _, module, *words = shlex.split(line)
                if module == "steerheal.tune":
                    arguments = tune.parser().parse_args(words)
                    assert load_space(arguments.space, arguments.overrides).trials
                else:
                    assert module == "analysis.compare" and len(words) == 2


def command(module: str, *arguments) -> subprocess.CompletedProcess:
    """`python -m module`, as a user types it."""
    words = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
