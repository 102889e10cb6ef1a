"""The judge, whole: cache, concurrency, interruption, failures as outcomes, and the command with its report."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from judge_server import KEY, JudgeServer, said

from steerheal import judge as command
from steerheal.errors import UserError
from steerheal.judging import prompt
from steerheal.judging.answers import Answer
from steerheal.judging.cache import Cache
from steerheal.judging.client import Backoff, Client
from steerheal.judging.endpoint import Endpoint
from steerheal.judging.judge import Judge, Pass
from steerheal.judging.pairwise import compare_answers
from steerheal.judging.rubric import find_rubric, load_rubric
from steerheal.judging.scoring import score_answers

SARCASM = load_rubric(find_rubric("sarcasm", "--rubric"))
QUICK = Backoff(attempts=2, first=0.001)


def scores(sarcasm=3, helpfulness=8):
    return said({"reason": f"with {KEY}", "sarcasm": sarcasm, "helpfulness": helpfulness})


def user(request):
    return request["messages"][1]["content"]


def judge_of(server, cache, **options):
    return Judge(Client(Endpoint(server.url, "judge", KEY), 5.0, QUICK), Cache(cache), **options)


def passes(*texts, times=1):
    return [Pass(prompt.score(SARCASM, None, text), number) for text in texts for number in range(times)]


def answers(*texts):
    return [Answer(line, text, "Why?", (("id", f"a{line}"),)) for line, text in enumerate(texts, 1)]


def ignore():
    pass


def test_nothing_is_judged_twice_within_a_run_or_over_runs(tmp_path):
    with JudgeServer(lambda *_: scores()).running() as server:
        judge = judge_of(server, tmp_path)
        first = judge.ask(passes("one", "two", "one", times=2))
        assert len(server.requests) == 4 and first[:2] == first[4:]
        again = judge_of(server, tmp_path)
        second = again.ask(passes("one", "two", times=2))
        assert len(server.requests) == 4 and all(outcome.cached for outcome in second)
        assert [outcome.given for outcome in second] == [outcome.given for outcome in first[:4]]
    assert judge.cost() == {
        "judgements": 4,
        "cached": 0,
        "failed": 0,
        "requests": 4,
        "failures": {},
        "prompt_tokens": 400,
        "completion_tokens": 40,
        "unreported": 0,
        "tokens_cached": 0,
    }
    assert (again.cost()["requests"], again.cost()["cached"], again.cost()["tokens_cached"]) == (0, 4, 440)


def test_another_rubric_model_text_or_pass_is_another_judgement(tmp_path):
    coherence = load_rubric(find_rubric("coherence", "--rubric"))
    everything = {"reason": "", **dict.fromkeys([*SARCASM.dimensions, *coherence.dimensions], 5)}
    with JudgeServer(lambda *_: said(everything)).running() as server:
        judge_of(server, tmp_path).ask(passes("one"))
        judge_of(server, tmp_path).ask(passes("other"))
        judge_of(server, tmp_path).ask(passes("one", times=2))
        judge_of(server, tmp_path).ask([Pass(prompt.score(coherence, None, "one"), 0)])
        judge_of(server, tmp_path).ask([Pass(prompt.score(SARCASM, "Why?", "one"), 0)])
        Judge(Client(Endpoint(server.url, "bigger", KEY)), Cache(tmp_path)).ask(passes("one"))
        assert len(server.requests) == 6


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"key": "x"}', None])
def test_a_damaged_cache_file_is_judged_anew_and_mended(tmp_path, damage):
    with JudgeServer(lambda *_: scores()).running() as server:
        judge_of(server, tmp_path).ask(passes("one"))
        (file,) = tmp_path.rglob("*.json")
        whole = file.read_text()
        file.write_text(whole.replace('"sarcasm": 3', '"sarcasm": 33') if damage is None else damage)
        (found,) = judge_of(server, tmp_path).ask(passes("one"))
        assert found.given["sarcasm"] == 3 and len(server.requests) == 2 and file.read_text() == whole


def test_a_cache_that_cannot_be_written_stops_the_run_with_one_line(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with JudgeServer(lambda *_: scores()).running() as server, pytest.raises(UserError, match="--cache"):
        judge_of(server, tmp_path / "cache").ask(passes("one"))


def test_no_more_requests_are_under_way_than_allowed(tmp_path):
    together = threading.Barrier(3)

    def reply(request, number):
        together.wait(5)
        return scores()

    with JudgeServer(reply).running() as server:
        judge_of(server, tmp_path, concurrency=3).ask(passes(*map(str, range(12))))
        # The barrier lets nobody through unless three are there at once, and the peak shows there were no more.
        assert (server.peak, len(server.requests)) == (3, 12)


def test_an_interrupted_run_keeps_what_was_under_way_and_sends_no_request_twice(tmp_path):
    texts = [str(number) for number in range(10)]

    def interrupted():
        raise KeyboardInterrupt

    stop = threading.Event()

    def reply(request, number):
        if number > 0:
            stop.wait(10)
        return scores()

    with JudgeServer(reply).running() as server:
        with pytest.raises(KeyboardInterrupt):
            judge_of(server, tmp_path, concurrency=3, stop=stop).ask(passes(*texts), interrupted)
        sent = len(server.requests)
        assert 1 <= sent <= 4 and len(list(tmp_path.rglob("*.json"))) == sent
        judge_of(server, tmp_path, concurrency=3).ask(passes(*texts))
        asked = [user(request) for request in server.requests]
    assert len(asked) == len(set(asked)) == 10


def test_a_failure_is_a_recorded_outcome_that_no_mean_includes_and_the_next_run_repairs(tmp_path):
    broken = True

    def reply(request, number):
        if broken and "two" in user(request):
            return said({"sarcasm": 10})
        return scores(sarcasm=2 if "one" in user(request) else 6)

    with JudgeServer(reply).running() as server:
        judge = judge_of(server, tmp_path)
        found = score_answers(judge, SARCASM, answers("one", "two", "three"), 2, ignore)
        broken = False
        mended = score_answers(judge_of(server, tmp_path), SARCASM, answers("one", "two", "three"), 2, ignore)
    assert found["scores"]["sarcasm"] == {"mean": 4.0, "se": 2.0, "n": 2, "failed": 1}
    row = found["answers"][1]
    assert (row["line"], row["id"], row["scores"]) == (2, "a2", None)
    assert [one["outcome"] for one in row["passes"]] == ["failed"] * 2
    assert "lacks helpfulness" in row["passes"][0]["detail"]
    assert found["agreement"]["sarcasm"]["alpha"] == 1 and found["agreement"]["sarcasm"]["texts"] == 2
    assert (judge.cost()["failed"], judge.cost()["failures"]) == (2, {"malformed": 2})
    assert mended["scores"]["sarcasm"]["failed"] == 0


def test_an_answer_with_one_failed_pass_has_no_score(tmp_path):
    def reply(request, number):
        return scores() if number == 0 else (503, b"", {})

    with JudgeServer(reply).running() as server:
        found = score_answers(judge_of(server, tmp_path, concurrency=1), SARCASM, answers("one"), 2, ignore)
    assert found["answers"][0]["scores"] is None
    assert [one["outcome"] for one in found["answers"][0]["passes"]] == ["ok", "failed"]


def test_a_wrong_key_ends_the_run_instead_of_failing_every_judgement(tmp_path):
    with JudgeServer(lambda *_: (401, {"error": {"message": f"no {KEY}"}}, {})).running() as server:
        with pytest.raises(UserError, match="check the key"):
            judge_of(server, tmp_path, concurrency=2).ask(passes(*map(str, range(50))))
        assert len(server.requests) <= 4


def prefers(wanted):
    """A judge that prefers the answer whose text is `wanted`; "A" and "B" prefer a place."""

    def reply(request, number):
        shown = user(request)
        place = "A" if shown.index(wanted) < shown.index("answer B") else "B"
        return said({"reason": "", "sarcasm": place, "helpfulness": "A"})

    return reply


def test_pairs_are_compared_blind_and_in_both_orders(tmp_path):
    pairs = list(zip(answers(*["dry wit"] * 12), answers(*["plain talk"] * 12), strict=True))
    with JudgeServer(prefers("dry wit")).running() as server:
        found = compare_answers(judge_of(server, tmp_path), SARCASM, pairs, 2, 0, ignore)
        assert not any("ours" in json.dumps(request) for request in server.requests)
    assert found["preference"]["sarcasm"]["ours"] == 12 and found["preference"]["sarcasm"]["low"] > 0.5
    assert found["position"]["sarcasm"] | {"share": None} == found["position"]["sarcasm"]
    assert found["agreement"]["sarcasm"]["alpha"] is None
    # A judge that always says A contradicts itself when the order turns: no preference, and a bias for the first.
    assert found["preference"]["helpfulness"]["tie"] == 12
    assert found["position"]["helpfulness"]["share"] == 1 and found["position"]["helpfulness"]["low"] > 0.5
    assert {one["first"] for one in found["pairs"][0]["passes"]} == {"ours", "theirs"}


def test_a_pair_with_a_failed_pass_has_no_preference(tmp_path):
    with JudgeServer(lambda *_: said({"sarcasm": "C", "helpfulness": "A"})).running() as server:
        found = compare_answers(judge_of(server, tmp_path), SARCASM, [(*answers("x"), *answers("y"))], 1, 0, ignore)
    assert found["pairs"][0]["preferred"] is None and found["preference"]["sarcasm"]["failed"] == 1
    assert found["agreement"] is None and "not A or B or tie" in found["pairs"][0]["passes"][0]["detail"]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the command in a folder of its own; gives (report or None, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUDGE_KEY", KEY)
    rows = [{"id": f"a{n}", "prompt": "Why?", "completion": f"answer {n}"} for n in range(4)]
    Path("answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("base.jsonl").write_text("".join(json.dumps(row | {"completion": "base"}) + "\n" for row in rows))

    def call(server, *options, rubric="sarcasm"):
        argv = ["judge", "answers.jsonl", "--rubric", rubric, "--base-url", server.url, "--model", "m"]
        monkeypatch.setattr(sys, "argv", [*argv, "--key-env", "JUDGE_KEY", *options])
        command.main()
        told = capsys.readouterr()
        return json.loads(told.out) if told.out else None, told.err

    return call


def test_the_command_scores_and_its_key_is_nowhere(run, tmp_path):
    with JudgeServer(lambda request, number: scores(sarcasm=number % 3)).running() as server:
        report, told = run(server)
        again, told_again = run(server, "--out", "scores.json")
        assert len(server.requests) == 8 and set(server.keys) == {f"Bearer {KEY}"}
    assert report["judge"] == "m" and report["passes"] == 2 and len(report["answers"]) == 4
    assert report["answers"][0]["passes"][0]["reason"] == "with [key]"
    assert again is None and json.loads(Path("scores.json").read_text())["scores"] == report["scores"]
    assert "8 judgements, 0 of them from the cache, 0 failed; 8 requests, 800 tokens in, 80 out" in told
    assert "8 of them from the cache" in told_again and "0 requests" in told_again
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "[key]" in written and KEY not in written + told + told_again + json.dumps(report)


def test_the_command_compares(run):
    with JudgeServer(prefers("answer ")).running() as server:
        report, _ = run(server, "--against", "base.jsonl", "--passes", "1")
    assert report["against"] == "base.jsonl" and len(report["pairs"]) == 4 and report["agreement"] is None


def test_a_run_in_which_everything_failed_is_an_error_after_its_report(run):
    with JudgeServer(lambda *_: said("no")).running() as server, pytest.raises(UserError, match="malformed 8"):
        run(server, "--out", "scores.json")
    assert json.loads(Path("scores.json").read_text())["answers"][0]["passes"][0]["outcome"] == "failed"


def test_ctrl_c_in_the_command_loses_nothing_and_the_same_command_goes_on(run, tmp_path):
    begun, go_on = threading.Event(), threading.Event()

    def reply(request, number):
        if number == 3:
            begun.set()
        if number >= 2:
            go_on.wait(20)
        return scores()

    with JudgeServer(reply).running() as server:
        argv = ["answers.jsonl", "--rubric", "sarcasm", "--base-url", server.url, "--model", "m"]
        argv += ["--key-env", "JUDGE_KEY", "--concurrency", "2"]
        package = Path(command.__file__).parents[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "steerheal.judge", *argv],
            cwd=tmp_path,
            text=True,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(package)},
        )
        assert begun.wait(60)
        process.send_signal(signal.SIGINT)
        told = ""
        while "waiting for the requests under way" not in told:
            assert (line := process.stderr.readline()), told
            told += line
        go_on.set()
        out, rest = process.communicate(timeout=30)
        assert (process.returncode, out) == (130, "") and "the same command goes on" in rest
        assert len(server.requests) == 4
        run(server)
        asked = [(user(request)) for request in server.requests]
    assert len(asked) == 8 and all(asked.count(text) == 2 for text in asked)
    assert KEY not in told + rest and "Traceback" not in told + rest


def test_the_command_imports_no_torch():
    modules = "steerheal.judge, steerheal.judging.scoring, steerheal.judging.pairwise"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
