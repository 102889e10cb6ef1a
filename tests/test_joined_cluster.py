"""A cluster that is already there: what it cannot hold, or does not want, is refused at once."""

import pytest

from steerheal.actors import cluster
from steerheal.config.sources import Kind
from steerheal.errors import UserError


@pytest.fixture
def two_nodes(monkeypatch):
    nodes = [{"Alive": True, "Resources": {"CPU": 4.0}}] * 2 + [{"Alive": False, "Resources": {"CPU": 64.0}}]
    monkeypatch.setattr(cluster.ray, "nodes", lambda: nodes)


@pytest.mark.parametrize("kinds", [[Kind(cpus=5)], [Kind(cpus=2, replicas=4)], [Kind(cpus=4), Kind(cpus=4)]])
def test_actors_that_would_wait_for_ever_are_refused(two_nodes, kinds):
    with pytest.raises(UserError, match="8, at most 4 on a node; lower cpus") as caught:
        cluster._check_cpus(kinds)
    assert "\n" not in str(caught.value)


def test_actors_that_leave_a_cpu_for_a_trial_are_placed(two_nodes):
    cluster._check_cpus([Kind(cpus=4), Kind(cpus=1, replicas=3)])


def test_a_cluster_that_does_not_answer_is_one_line(monkeypatch):
    def fail(**options):
        raise ConnectionError("no such host.\nmore lines")

    monkeypatch.setattr(cluster.ray, "init", fail)
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:6379")
    with pytest.raises(UserError) as caught:
        cluster.start_ray(None)
    assert str(caught.value).startswith("RAY_ADDRESS: no cluster at elsewhere:6379 lets this process in (no such host);")
    assert "\n" not in str(caught.value)
