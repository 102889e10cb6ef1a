"""One trial's course, with stages whose results are given: what follows what, and how lanes end."""

from collections.abc import Sequence

import pytest

from steerheal.config import Dose, Evaluate, Heal, ModelRef, Persona, Stop, TrialConfig
from steerheal.errors import StageError
from steerheal.foundations import FOUNDATIONS
from steerheal.jobs import Job, Prompt, Result
from steerheal.loop import run_trial
from steerheal.trial_data import TrialData

DATA = TrialData(("a context",), (Prompt("p", "a prompt"),), (), {}, {})
PERSONA = Persona(name="p", positive="yes", negative="no", target="authority", sign=-1, companions=("care",))


def trial(**changes):
    settings = {
        "alpha": 0.5,
        "rounds": 3,
        "seeds": (0, 1),
        "dose": Dose(n_keep=8, min_train=4),
        "heal": Heal(),
        "evaluate": Evaluate(),
        **changes,
    }
    return TrialConfig(model=ModelRef(name="m", path_or_hub="m"), persona=PERSONA, **settings)


def answers(undamaged, of):
    return {"all": {"answers": of, "undamaged": undamaged}, "kinds": {}, "beliefs": {}}


class Given:
    """Stages that answer at once; `special(job)` may return a summary of its own or raise."""

    def __init__(self, special=lambda job: None):
        self.special, self.jobs, self.calls = special, [], []

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        self.calls.append([job.stage for job in jobs])
        results = []
        for job in jobs:
            summary = self.special(job) or getattr(self, job.stage)(job)
            self.jobs.append(job)
            results.append(Result(job.key, job.stage, summary, 0.1, hit=False))
        return results

    def extract(self, job):
        return {"norms": {}}

    def collect(self, job):
        return {"starved": False, "kappa": 1.0, "dose": job.steering.dose}

    def heal(self, job):
        return {"diverged": None}

    def evaluate(self, job):
        nats = dict.fromkeys(FOUNDATIONS, -2.0) | {"authority": -2.0 - 0.5 * len(job.student)}
        return {"nats": nats, "coherence": 0.99 - 0.01 * len(job.student), "unscorable": 0, "vignettes": 10}

    def canary(self, job):
        return answers(4, 4)

    def of(self, stage):
        return [job for job in self.jobs if job.stage == stage]


def test_each_round_builds_on_the_history_of_its_own_seed():
    stages = Given()
    result = run_trial(trial(), DATA, "m", stages)
    assert [(r["round"], r["seed"], len(r["student"])) for r in result["records"]] == [
        (0, 0, 1),
        (0, 1, 1),
        (1, 0, 2),
        (1, 1, 2),
        (2, 0, 3),
        (2, 1, 3),
    ]
    heals = {(job.seed, len(job.student)): job for job in stages.of("heal")}
    for seed in (0, 1):
        assert heals[seed, 2].student[:1] == heals[seed, 1].student
        assert heals[seed, 1].reference == heals[seed, 1].student
    assert {job.student for job in stages.of("extract")} == {job.student for job in stages.of("heal")}
    assert result["gain"] == pytest.approx(1.5) and result["verdict"] == "ok" and result["n"] == 2


def test_seeds_ask_together_so_that_they_share_a_pack():
    stages = Given()
    run_trial(trial(rounds=1), DATA, "m", stages)
    assert stages.calls[:3] == [["extract"] * 2, ["collect"] * 2, ["heal"] * 2]
    first, second = stages.of("extract")
    assert first.key == second.key and len({job.key for job in stages.of("collect")}) == 2


def test_lam_grows_with_the_round_and_the_reference_can_be_base():
    stages = Given()
    heal = Heal(reg="kl_rev", lam=0.1, lam_round_pow=2.0, barrier_ref="base")
    run_trial(trial(heal=heal, seeds=(0,)), DATA, "m", stages)
    assert [job.heal.lam for job in stages.of("heal")] == pytest.approx([0.1, 0.4, 0.9])
    assert all(job.reference == () for job in stages.of("heal"))


def test_a_starved_seed_ends_there_and_the_other_goes_on():
    def special(job):
        if job.stage == "collect" and job.seed == 1 and job.round == 1:
            return {"starved": True, "kappa": 0.2, "dose": 0.1}

    result = run_trial(trial(), DATA, "m", Given(special))
    assert [(r["seed"], r["outcome"]) for r in result["records"]] == [
        (0, "ok"),
        (1, "ok"),
        (0, "ok"),
        (1, "starved"),
        (0, "ok"),
    ]
    starved = result["records"][3]
    assert starved["heal"] is None and starved["gain"] is None and starved["steered_coherence"] is not None
    assert result["verdict"] == "unknown" and result["failed"] == 1


def test_a_diverged_heal_is_not_folded_in():
    result = run_trial(
        trial(seeds=(0,)), DATA, "m", Given(lambda job: {"diverged": 7} if job.stage == "heal" else None)
    )
    (record,) = result["records"]
    assert record["outcome"] == "diverged" and record["student"] == [] and result["verdict"] == "diverged"


@pytest.mark.parametrize("stage", ["extract", "collect", "heal", "evaluate"])
def test_a_failing_stage_costs_its_own_seed_only(stage):
    def special(job):
        mine = {"extract": False, "evaluate": bool(getattr(job, "student", ())) and job.student[0] == bad[0]}
        if job.stage == "heal" and job.seed == 1:
            bad[0] = job.key
        if job.stage == stage and (getattr(job, "seed", None) == 1 or mine.get(stage)):
            raise StageError(f"{stage}: out of memory")

    bad = [None]
    result = run_trial(trial(rounds=1), DATA, "m", Given(special))
    outcomes = {r["seed"]: (r["outcome"], r["error"]) for r in result["records"]}
    assert outcomes[0] == ("ok", None)
    if stage != "extract":
        assert outcomes[1] == ("failed", f"{stage}: out of memory")


def test_a_seed_below_the_coherence_floor_stops_with_its_figures():
    result = run_trial(trial(seeds=(0,), stop=Stop(coherence_below=0.975)), DATA, "m", Given())
    assert [(r["round"], r["outcome"]) for r in result["records"]] == [(0, "ok"), (1, "stopped")]
    assert result["coherence"] == pytest.approx(0.97)
    assert result["verdict"] == "broken", "an early-stopped trial is not taken for a finished one"


def test_a_trial_that_reaches_its_last_round_has_finished_whatever_its_coherence():
    result = run_trial(trial(seeds=(0,), stop=Stop(coherence_below=0.965)), DATA, "m", Given())
    assert [r["outcome"] for r in result["records"]] == ["ok"] * 3 and result["verdict"] == "ok"


def canaries(student, base):
    def special(job):
        if job.stage == "canary":
            return answers(student if job.student else base, 4)

    return run_trial(trial(rounds=1), DATA, "m", Given(special))


def test_canaries_are_compared_with_base():
    found = canaries(student=3, base=4)
    assert found["verdict"] == "damaged" and found["canary_survival"] == 0.75
    assert found["records"][0]["canaries"]["outcome"] == "ok"
    assert canaries(student=4, base=3)["verdict"] == "ok"


def test_a_base_without_an_undamaged_answer_makes_the_trial_unknown_and_says_why():
    """It once passed: a ratio that does not exist was taken for canaries that were not asked for."""
    found = canaries(student=4, base=0)
    assert found["verdict"] == "unknown" and found["seeds"] == {0: "unknown", 1: "unknown"}
    assert found["gain"] is None and "base itself gave no undamaged answer" in found["error"]
    assert found["records"][0]["gain"] == pytest.approx(0.5), "the seed's own figures stay"
    without = run_trial(trial(rounds=1, evaluate=Evaluate(canary_samples=0)), DATA, "m", Given())
    assert (without["verdict"], without["canary_survival"], without["error"]) == ("ok", None, None)


def test_the_report_hears_every_record():
    heard = []
    result = run_trial(trial(), DATA, "m", Given(), heard.append)
    assert heard == result["records"]
