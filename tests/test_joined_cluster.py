"""A cluster that is already there: what it cannot hold, or does not want, is refused at once."""

import pytest

from steerheal.actors import cluster
from steerheal.actors.room import check_room, fitting
from steerheal.config.sources import Kind
from steerheal.errors import UserError


@pytest.fixture
def two_nodes(monkeypatch):
    nodes = [{"Alive": True, "Resources": {"CPU": 4.0}}] * 2 + [{"Alive": False, "Resources": {"CPU": 64.0}}]
    monkeypatch.setattr(cluster.ray, "nodes", lambda: nodes)


def check(*kinds):
    check_room({f"kind {number}": kind for number, kind in enumerate(kinds)}, cluster.offers(), 1.0, "spread")


@pytest.mark.parametrize("kinds", [[Kind(cpus=5)], [Kind(cpus=2, replicas=4)], [Kind(cpus=4), Kind(cpus=4)]])
def test_processes_that_would_wait_for_ever_are_refused(two_nodes, kinds):
    with pytest.raises(UserError, match=r"the nodes have CPU 4; CPU 4; lower cpus") as caught:
        check(*kinds)
    assert "\n" not in str(caught.value)


def test_processes_that_leave_a_cpu_for_a_trial_are_placed(two_nodes):
    check(Kind(cpus=4), Kind(cpus=1, replicas=3))


def test_gpus_and_names_of_ones_own_are_looked_for_on_each_node(monkeypatch):
    nodes = [{"Alive": True, "Resources": {"CPU": 8.0, "GPU": 1.0, "big": 1.0, "node:10.0.0.1": 1.0, "memory": 1e9}}]
    nodes.append({"Alive": True, "Resources": {"CPU": 8.0, "GPU": 1.0}})
    monkeypatch.setattr(cluster.ray, "nodes", lambda: nodes)
    check(Kind(gpus=1, resources={"big": 1}), Kind(gpus=1))
    with pytest.raises(UserError, match="room for 1 of 2 processes for kind 0 .each takes CPU 1, GPU 1, big 1."):
        check(Kind(gpus=1, resources={"big": 1}, replicas=2))
    with pytest.raises(UserError, match="spread needs 3 GPUs, there are 2"):
        check(Kind(gpus=1, replicas=3))


def test_the_first_of_every_kind_finds_room_before_the_second_of_any():
    kinds = {"generation": Kind(replicas=5), "trainer": Kind(cpus=2), "evaluation": Kind()}
    assert fitting(kinds, [{"CPU": 5.0}], 0.5) == {"generation": 1, "trainer": 1, "evaluation": 1}
    assert fitting(kinds, [{"CPU": 5.0}, {"CPU": 2.0}], 0.5) == {"generation": 3, "trainer": 1, "evaluation": 1}
    assert fitting(kinds, [{"CPU": 5.0}, {"CPU": 2.0}], 2.0) == {"generation": 2, "trainer": 1, "evaluation": 1}
    shares = dict.fromkeys(kinds, Kind(cpus=1, gpus=cluster.GPU_SHARE))
    assert fitting(shares, [{"CPU": 4.0, "GPU": 1.0}], 1.0) == dict.fromkeys(kinds, 1)


def test_a_cluster_that_does_not_answer_is_one_line(monkeypatch):
    def fail(**options):
        raise ConnectionError("no such host.\nmore lines")

    monkeypatch.setattr(cluster.ray, "init", fail)
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:6379")
    with pytest.raises(UserError) as caught:
        cluster.start_ray(None)
    assert str(caught.value).startswith(
        "RAY_ADDRESS: no cluster at elsewhere:6379 lets this process in (no such host);"
    )
    assert "\n" not in str(caught.value)
