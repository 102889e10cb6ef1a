"""The judge's client against a real server on loopback that misbehaves in every way seen in the field."""

import json
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_server import KEY, JudgeServer, said

from steerheal.errors import UserError
from steerheal.judging.client import Backoff, Client, Question
from steerheal.judging.endpoint import Endpoint, find_endpoint
from steerheal.judging.outcome import Failure, Judgement, Stopped, Usage
from steerheal.judging.reply import check, find_object, retry_after

QUESTION = Question(({"role": "user", "content": "?"},), {"tone": None, "care": None}, {"type": "object"})
GOOD = {"reason": "calm", "tone": 7, "care": 2.5}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Asked:
    """What became of one question, the waits between its attempts, and the server that saw them."""

    def __init__(self, reply, timeout=5.0, backoff=Backoff(), key=KEY, questions=1):
        self.waits = []
        with JudgeServer(reply).running() as self.server:
            client = Client(Endpoint(self.server.url, "judge", key), timeout, backoff, random.Random(0))
            for _ in range(questions):
                self.outcome = client.ask(QUESTION, self._wait)

    def _wait(self, seconds):
        self.waits.append(seconds)
        return False

    @property
    def sent(self):
        return len(self.server.requests)


def in_turn(*replies):
    """The first reply to the first request, and so on; the last one for ever."""
    return lambda request, number: replies[min(number, len(replies) - 1)]


def test_a_good_answer_is_a_judgement_with_its_cost():
    asked = Asked(in_turn(said(GOOD)))
    assert asked.outcome == Judgement({"tone": 7, "care": 2.5}, "calm", Usage(1, 100, 10))
    assert asked.server.keys == [f"Bearer {KEY}"]
    (request,) = asked.server.requests
    assert request["model"] == "judge" and request["messages"] == list(QUESTION.messages)
    assert request["response_format"]["json_schema"]["schema"] == QUESTION.schema


def test_without_a_key_none_is_sent():
    assert Asked(in_turn(said(GOOD)), key=None).server.keys == [None]


def test_tokens_that_the_endpoint_does_not_tell_are_counted_as_unreported():
    assert Asked(in_turn(said(GOOD, usage=False))).outcome.usage == Usage(1, unreported=1)


@pytest.mark.parametrize(
    "refusal",
    [
        (400, {"error": {"message": "response_format is not supported"}}, {}),
        (422, {"detail": "extra field"}, {}),
        (200, {"error": {"message": "no json_schema here", "code": 400}}, {}),
    ],
)
def test_an_endpoint_that_refuses_response_format_is_asked_for_plain_json_from_then_on(refusal):
    def reply(request, number):
        return refusal if "response_format" in request else said(f"Sure!\n```json\n{json.dumps(GOOD)}\n```")

    asked = Asked(reply, questions=3)
    assert isinstance(asked.outcome, Judgement) and asked.waits == []
    assert ["response_format" in request for request in asked.server.requests] == [True, False, False, False]


def test_a_request_that_is_wrong_for_another_reason_is_not_repeated_without_response_format():
    asked = Asked(in_turn(said(GOOD), (400, {"error": {"message": "too many tokens"}}, {})), questions=2)
    assert (asked.outcome.kind, asked.sent) == ("bad request", 2)
    assert "too many tokens" in asked.outcome.detail


@pytest.mark.parametrize(
    "bad",
    [
        (500, b"oops", {}),
        (503, {"error": "overloaded"}, {}),
        (200, {"error": {"message": "upstream is gone", "code": 502}}, {}),
        (200, {"error": "something"}, {}),
    ],
)
def test_what_may_pass_is_tried_again_with_growing_waits(bad):
    asked = Asked(in_turn(bad, bad, bad, said(GOOD)))
    assert isinstance(asked.outcome, Judgement) and asked.outcome.usage.requests == 4
    assert all(0.5 * 2**n <= wait <= 2**n for n, wait in enumerate(asked.waits)) and len(asked.waits) == 3


def test_attempts_end_in_a_recorded_failure():
    asked = Asked(in_turn((500, b"down", {})), backoff=Backoff(attempts=3))
    assert asked.outcome == Failure("server error", "500: down", Usage(3))
    assert (asked.sent, len(asked.waits)) == (3, 2)


def test_an_error_in_a_200_is_told_as_such():
    asked = Asked(in_turn({"error": {"message": "upstream is gone"}}), backoff=Backoff(attempts=1))
    assert asked.outcome.kind == "server error"
    assert asked.outcome.detail == "200 with an error in the body: upstream is gone"


def test_retry_after_is_honoured():
    asked = Asked(in_turn((429, {"error": {"message": "slow"}}, {"Retry-After": "17"}), said(GOOD)))
    assert isinstance(asked.outcome, Judgement) and asked.waits == [17.0]


def test_an_endpoint_that_asks_for_an_hour_is_not_waited_for():
    asked = Asked(in_turn((429, {"error": {"message": "quota"}}, {"Retry-After": "3600"})))
    assert (asked.outcome.kind, asked.waits, asked.sent) == ("rate limit", [], 1)
    assert "asks to wait 3600 s" in asked.outcome.detail


def test_retry_after_reads_seconds_and_dates():
    later = format_datetime(NOW + timedelta(seconds=90), usegmt=True)
    assert retry_after("2.5", NOW) == 2.5 and retry_after(later, NOW) == 90
    assert retry_after(format_datetime(NOW - timedelta(days=1), usegmt=True), NOW) == 0
    assert [retry_after(text, NOW) for text in (None, "", "soon", "nan", "inf", "-3")] == [None] * 5 + [0.0]


def test_silence_is_a_timeout_and_is_tried_again():
    quiet = threading.Event()

    def reply(request, number):
        if number == 0:
            quiet.wait(5)
        return said(GOOD)

    asked = Asked(reply, timeout=0.2)
    quiet.set()
    assert isinstance(asked.outcome, Judgement) and asked.sent == 2


def test_a_body_that_trickles_for_ever_ends_at_the_timeout():
    def trickle():
        while not time.sleep(0.02):
            yield b" "

    asked = Asked(lambda *_: (200, trickle(), {"Content-Length": "9999"}), timeout=0.2, backoff=Backoff(attempts=1))
    assert (asked.outcome.kind, asked.outcome.detail) == ("timeout", "no reply within 0.2 s")


def test_a_body_cut_short_is_a_failed_connection():
    cut = (200, b'{"choices": [', {"Content-Length": "500"})
    asked = Asked(in_turn(cut), backoff=Backoff(attempts=1), timeout=0.5)
    assert isinstance(asked.outcome, Failure) and asked.outcome.kind in ("connection", "timeout")


@pytest.mark.parametrize(
    ("body", "kind", "detail"),
    [
        (b"<html>proxy</html>", "malformed", "no JSON object"),
        ([1], "malformed", "no JSON object"),
        ({"choices": []}, "malformed", "choices[0].message"),
        ({"choices": [{"message": "hm"}]}, "malformed", "choices[0].message"),
        (said(None), "malformed", "empty"),
        (said("I would rather not."), "malformed", "no JSON object"),
        (said('{"tone": 7, "care": '), "malformed", "no JSON object"),
        (said({"tone": 7}), "malformed", "lacks care"),
        (said({"tone": 11, "care": 1}), "malformed", "tone is 11, not a number from 0 to 10"),
        (said({"tone": -1, "care": 1}), "malformed", "tone is -1"),
        (said({"tone": "7", "care": 1}), "malformed", "tone is '7'"),
        (said({"tone": True, "care": 1}), "malformed", "tone is True"),
        (said('{"tone": NaN, "care": 1}'), "malformed", "tone is nan"),
        (said({"tone": json.loads("[" * 400 + "]" * 400), "care": 1}), "malformed", "tone is [["),
        (said('{"tone": ' + "[" * 900 + "]" * 900 + ', "care": 1}'), "malformed", ""),
        (said('{"tone": ' + "9" * 5000 + ', "care": 1}'), "malformed", ""),
        (said('{"tone": 7, "care": 1', finish="length"), "truncated", "token limit"),
    ],
)
def test_an_unusable_answer_is_asked_for_again_twice_and_then_a_failure_that_says_why(body, kind, detail):
    asked = Asked(in_turn(body))
    assert isinstance(asked.outcome, Failure) and asked.outcome.kind == kind and detail in asked.outcome.detail
    assert asked.sent == 3 and asked.waits == [0.0, 0.0]
    assert "\n" not in asked.outcome.detail


def test_the_tokens_of_unusable_answers_count():
    assert Asked(in_turn(said("no"), said(GOOD))).outcome.usage == Usage(2, 200, 20)


@pytest.mark.parametrize("body", [said(None, refusal="I cannot judge that."), said("x", finish="content_filter")])
def test_a_refusal_is_final(body):
    asked = Asked(in_turn(body))
    assert (asked.outcome.kind, asked.sent) == ("refused", 1)


@pytest.mark.parametrize(("status", "words"), [(401, "check the key"), (404, "--model"), (302, "redirect")])
def test_what_no_request_will_survive_ends_the_run(status, words):
    reply = (status, {"error": {"message": f"bad {KEY}"}}, {"Location": "http://127.0.0.1:9/steal"})
    with pytest.raises(UserError, match=words) as caught:
        Asked(in_turn(reply))
    assert KEY not in str(caught.value)


def test_an_address_where_nobody_listens_is_refused_at_once():
    with JudgeServer(in_turn(said(GOOD))).running() as server:
        url = server.url
    with pytest.raises(UserError, match="check the address"):
        Client(Endpoint(url, "judge")).ask(QUESTION, lambda seconds: pytest.fail("it waited"))


@pytest.mark.parametrize("host", ["a..b", "x" * 70])
def test_a_host_that_cannot_exist_is_refused_at_once(host):
    with pytest.raises(UserError, match="check the address"):
        Client(Endpoint(f"https://{host}/v1", "judge")).ask(QUESTION, lambda seconds: pytest.fail("it waited"))


def test_a_stopped_run_does_not_try_again():
    with JudgeServer(in_turn((500, b"", {}))).running() as server:
        with pytest.raises(Stopped):
            Client(Endpoint(server.url, "judge")).ask(QUESTION, lambda seconds: True)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "echo",
    [
        said({"reason": f"your key is {KEY}", "tone": 1, "care": 1}),
        said('{"reason": "' + "".join(f"\\u{ord(c):04x}" for c in KEY) + '", "tone": 1, "care": 1}'),
        (403, {"error": {"message": f"bad key {KEY}"}}, {}),
        (400, f"bad key {KEY} {'x' * 500}".encode(), {}),
        (403, ('{"error": {"message": "' + "".join(f"\\u{ord(c):04x}" for c in KEY) + '"}}').encode(), {}),
        said("x" * 100 + KEY),
        said(None, refusal=f"not with {KEY}"),
    ],
)
def test_an_endpoint_that_repeats_the_key_does_not_get_it_into_an_outcome(echo):
    outcome = Asked(in_turn(echo)).outcome
    assert KEY not in repr(outcome) and KEY[:12] not in repr(outcome)


def test_the_key_is_not_in_the_endpoints_repr():
    assert KEY not in repr(Client(Endpoint("http://127.0.0.1/v1", "judge", KEY)))


def test_the_key_comes_from_the_named_variable(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "for-somebody-else")
    monkeypatch.setenv("MINE", f" {KEY}\n")
    assert find_endpoint("https://judge.example/v1/", "m", "MINE") == Endpoint("https://judge.example/v1", "m", KEY)
    assert find_endpoint("https://judge.example/v1", "m", None).key == "for-somebody-else"
    monkeypatch.delenv("OPENAI_API_KEY")
    assert find_endpoint("http://127.0.0.1:1/v1", "m", None).key is None


@pytest.mark.parametrize(
    ("url", "name", "value", "words"),
    [
        ("https://judge.example/v1", KEY, None, "no such variable"),
        ("https://judge.example/v1", "MINE", f"{KEY}\n{KEY}", "no usable key"),
        ("https://judge.example/v1", "MINE", f"{KEY}é", "no usable key"),
        ("http://judge.example/v1", "MINE", KEY, "in the clear"),
        (f"https://me:{KEY}@judge.example/v1", None, None, "--key-env"),
        (f"https://judge.example/v1?key={KEY}", None, None, "--key-env"),
        ("ftp://judge.example", None, None, "not an http address"),
        ("https://[x/v1", None, None, "not an http address"),
        ("judge.example/v1", None, None, "not an http address"),
    ],
)
def test_an_address_or_key_that_cannot_be_used_is_refused_without_showing_it(monkeypatch, url, name, value, words):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    if value:
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=words) as caught:
        find_endpoint(url, "m", name)
    assert KEY not in str(caught.value) and "\n" not in str(caught.value)


def test_a_placeholder_key_is_sent_and_hides_nothing():
    asked = Asked(in_turn(said({"reason": "e", "tone": 1, "care": 1})), key="e")
    assert asked.server.keys == ["Bearer e"] and asked.outcome.reason == "e"


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        'Well {that} is: {"a": 1} and {so on',
        '```json\n{"a": 1}\n```',
        '{"b": 2} no: {"a": 1}',
        '<think>{"a": 9}</think>{"a": 1}',
        '{"a": 1} {',
    ],
)
def test_the_last_object_of_a_text_is_found(text):
    assert find_object(text) == {"a": 1}


def test_brackets_without_end_are_read_in_reasonable_time():
    assert find_object('{"a":' * 2_000_000) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda item: st.lists(item) | st.dictionaries(st.sampled_from(["tone", "care", "x"]), item),
    max_leaves=8,
)


@given(JSON)
def test_what_passes_the_check_has_every_dimension_in_range_and_no_other(data):
    found = check(data, QUESTION.allowed)
    if isinstance(found, dict):
        assert set(found["given"]) == {"tone", "care"}
        assert all(0 <= value <= 10 for value in found["given"].values())
