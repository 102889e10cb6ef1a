"""Which process a job goes to: where least is under way, and from then on where its student was trained."""

from steerheal.actors import routes
from steerheal.actors.routes import Routes


class Sent:
    """Routes with the keys that are under way."""

    def __init__(self, *there):
        self.routes, self.keys = Routes(), set()
        self.routes.serving = dict.fromkeys(("collect", "heal", "evaluate"), there)

    def to(self, key, stage, adapter=None):
        """Where a job goes, which is under way from now on."""
        self.keys.add(key)
        return self.routes.route(key, stage, adapter, self.keys)

    def over(self, *keys):
        """These have landed."""
        for key in keys:
            self.keys.discard(key)
            self.routes.over(key)


def test_a_job_goes_where_least_is_under_way():
    sent = Sent("one", "two")
    assert [sent.to(key, "heal") for key in "abcd"] == ["one", "two", "one", "two"]
    sent.over("b", "d")
    assert [sent.to(key, "heal") for key in "ef"] == ["two", "two"]


def test_a_student_stays_where_it_was_trained_round_after_round():
    sent = Sent("one", "two")
    homes = {key: sent.to(key, "heal") for key in "abcd"}
    sent.over(*homes)
    for key, home in homes.items():
        assert sent.to(f"evaluate {key}", "evaluate", key) == home
        assert sent.to(f"second {key}", "heal", key) == home
        assert sent.to(f"evaluate second {key}", "evaluate", f"second {key}") == home


def test_without_its_home_a_student_finds_another_and_keeps_it():
    sent = Sent("one", "two")
    assert sent.to("a", "heal") == "one"
    sent.over("a")
    sent.routes.serving = {"evaluate": ["two", "three"], "collect": ["two", "three"]}
    new = sent.to("b", "evaluate", "a")
    assert new in ("two", "three") and sent.to("c", "collect", "a") == new


def test_who_has_long_been_idle_takes_students_over(monkeypatch):
    sent = Sent("one")
    for key in "abc":
        sent.to(key, "heal")
    sent.over("a", "b", "c")
    sent.routes.serving = {"evaluate": ["one", "new"]}
    assert sent.to("d", "evaluate", "a") == "one", "it has nothing else to do"
    assert sent.to("e", "evaluate", "a") == "one", "a job alone is not worth the move"
    assert sent.to("f", "evaluate", "b") == "new"
    assert sent.to("g", "evaluate", "b") == "new" and sent.to("h", "evaluate", "c") == "one"
    sent.over("f", "g")
    assert sent.to("i", "evaluate", "c") == "one", "new has only just become idle"
    monkeypatch.setattr(routes, "IDLE_SECONDS", -1.0)
    assert sent.to("j", "evaluate", "c") == "new"


def test_a_key_under_way_stays_where_it_was_sent_while_that_is_there():
    sent = Sent("one", "two")
    first = sent.to("a", "heal")
    sent.to("b", "heal")
    assert sent.to("a", "heal") == first
    sent.routes.serving = {"heal": ["three"]}
    assert sent.to("a", "heal") == "three"


def test_with_nobody_there_a_job_goes_nowhere():
    assert Routes().route("a", "heal", None, ()) is None
