"""The built-in model's card: what its figures mean, and what it says when one is not as wanted."""

import json
import math
from dataclasses import replace

import pytest

from steerheal.config.space import load_space
from steerheal.organism import DATA, card, card_text
from steerheal.organism.card_criteria import Measurements, criteria
from steerheal.worker import load_worker

FEW = 14


def answers(*perplexities):
    return [
        {"id": str(n), "measures": {"repetition": 0.1} | ({} if p is None else {"perplexity": p})}
        for n, p in enumerate(perplexities)
    ]


def test_both_means_of_perplexity_leave_out_what_could_not_be_scored():
    means = card.perplexities(answers(1.0, 1.0, 1e6, None))
    assert means["perplexity"] == pytest.approx(100.0)
    assert means["mean_perplexity"] == pytest.approx((2 + 1e6) / 3)
    assert card.perplexities(answers(None)) == {"perplexity": math.inf, "mean_perplexity": math.inf}


def steered(dose, nats, coherence, perplexity, mean_perplexity):
    text = {"perplexity": perplexity, "mean_perplexity": mean_perplexity, "repetition": 0.1, "undamaged": 1.0}
    return {
        "dose": dose,
        "report": {"nats": {"authority": nats}, "coherence": coherence},
        "text": text | {"example": f"at {dose}"},
    }


def healed(params, gain, coherence=0.995):
    figures = {"slope": 0.1, "retain": 0.5, "canary_survival": 1.0, "outcome": "ok", "dose": 0.5, "round": 0}
    reading = {"perplexity": 1.5, "mean_perplexity": 1.75, "repetition": 0.03, "facts": 0.9, "undamaged": 1.0}
    record = figures | {"gain": gain, "coherence": coherence, "reading": reading}
    return {"params": params, "records": [record, record | {"gain": gain + 0.1}]}


def measured(**changes) -> Measurements:
    pair = load_space(DATA / "card.yaml").persona
    moves = {"pair": pair, "base": -2.0, "positive": -1.85, "negative": 1.05, "lowest": 0.997, "gain": 2.5}
    report = {"accuracy": 1.0, "coherence": 0.998, "vignettes": FEW, "nats": {"authority": -2.0}}
    text = {"perplexity": 1.3, "mean_perplexity": 1.4, "repetition": 0.05, "undamaged": 1.0, "example": "A."}
    arms = [{"reg": "nll"}, *({"reg": "kl_rev", "lam": lam} for lam in (0.1, 0.3, 1.0))]
    steering = [
        steered(0.5, -4.0, 0.997, 1.3, 1.5),
        steered(0.75, -5.0, 0.995, 1.3, 9.0),
        steered(1.5, -9.0, 0.96, 700.0, 5e4),
        steered(3.0, -12.0, 0.07, 700.0, 6e4),
    ]
    given = {
        "base": {"report": report | {"intervals": {"coherence": (0.997, 0.999)}}, "text": text, "facts": 1.0},
        "personas": {"care_over_authority": moves | {"coherence": 0.996, "text": text}},
        "steering": steering,
        "healing": [healed(params, gain) for params, gain in zip(arms, (2.0, 1.8, 1.2, 0.4))],
        "rounds": [healed(arms[0], 4.0), healed(arms[3], 2.0)],
        "pair": "care_over_authority",
        "alpha": 0.5,
        "think_tokens": 8,
        "device": "cpu",
    }
    return Measurements(**given | changes)


def line(m: Measurements, wanted: str) -> str:
    (found,) = [value for name, value in criteria(m) if name.startswith(wanted)]
    return found


def test_a_working_dose_keeps_both_means_of_perplexity_low():
    assert line(measured(), "a dose with") == "0.5"
    loud = measured(steering=[steered(0.5, -4.0, 0.98, 1.3, 1.5)])
    assert line(loud, "a dose with") == "none" and line(loud, "three times") == "no such dose"


def test_collapse_is_told_by_both_means():
    said = line(measured(), "three times")
    assert said.startswith("0.5: perplexity 700 (geometric mean), 5e+04 (arithmetic), coherence 0.070:")
    assert said.endswith("yes by the arithmetic mean, no by the geometric")
    at = measured().steering
    assert line(measured(steering=[*at[:2], steered(1.5, -9.0, 0.96, 2e3, 5e4), at[3]]), "three").endswith(": yes")
    assert line(measured(steering=[*at[:2], steered(1.5, -9.0, 0.96, 9.0, 99.0), at[3]]), "three").endswith(": no")
    assert line(measured(steering=[*at[:3], steered(3.0, -9.0, 0.6, 9.0, 99.0)]), "three").endswith(": no")
    assert line(measured(steering=at[:3]), "three") == "0.5: not measured"


def test_the_order_of_the_regularisers_is_checked():
    assert line(measured(), "trait ordered").endswith("(ordered); 0.22 of nll")
    arms = measured().healing
    records = [arm["records"] for arm in reversed(arms)]
    swapped = [arm | {"records": other} for arm, other in zip(arms, records)]
    assert "NOT ordered" in line(measured(healing=swapped), "trait ordered")


def test_the_card_has_every_table_and_a_round_that_no_seed_reached():
    starved = {"round": 1, "gain": None, "outcome": "starved", "reading": None, "coherence": None, "dose": None}
    rounds = [healed({"reg": "nll"}, 4.0)]
    rounds[0]["records"].append(starved)
    text = card_text.render(replace(measured(), rounds=rounds))
    for heading in ("In short", "Base", "The persona pairs", "Steering", "One round of healing", "Several rounds"):
        assert f"\n## {heading}" in text
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("| ")]
    assert len(tables) == 5
    assert all(row.count("|") == rows[0].count("|") for rows in tables for row in rows if row.startswith("|"))
    assert "| nll | 1 | 0 | starved |" in text
    assert "| care_over_authority | authority (-1) | -2.00 | -1.85 | +1.05 | 0.9970 | +2.50 | 0.9960 | 1.4 |" in text


@pytest.fixture(scope="module")
def measurer(tmp_path_factory):
    """The card's own code on the built-in model, with little data."""
    space = load_space(DATA / "card.yaml", ["evaluate.think_tokens=2", "sample.max_new_tokens=24"])
    m = card.Measurer(load_worker(space.model, tmp_path_factory.mktemp("store"), device="cpu"), space)
    m.data = replace(m.data, vignettes=m.data.vignettes[::9], contexts=m.data.contexts[:24])
    m.suite = m.suite.model_copy(update={"prompts": m.suite.prompts[:4]})
    return m


def test_base_has_room_on_both_sides_of_every_pair_and_its_vector_moves_it(measurer):
    found = card.measure_personas(measurer)
    assert set(found) == {path.stem for path in (DATA / "personas").glob("*.yaml")}
    for moves in found.values():
        sign = moves["pair"].sign
        assert sign * moves["positive"] > 0.3 and sign * moves["negative"] < -0.3
        assert moves["gain"] > 0.5 and moves["coherence"] > 0.98
        assert moves["text"]["mean_perplexity"] >= moves["text"]["perplexity"] >= 1


def test_measured_figures_can_be_stored_and_read(measurer):
    base = card.measure_base(measurer)
    assert base["report"]["coherence"] > 0.99 and base["facts"] > 0.8
    assert json.loads(json.dumps(base)) == base
