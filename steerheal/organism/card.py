"""Measure the built-in model and write its card: `python -m steerheal.organism.card --out MODEL_CARD.md`.

Every figure goes through the same stages as a sweep. Artefacts land in a store, so an interrupted run goes on
where it stopped. About half an hour on two idle CPU cores.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from steerheal import cli
from steerheal.config.space import Space, load_space
from steerheal.config.trial import Persona
from steerheal.evaluation.canary_suite import CanaryPrompt, Suite
from steerheal.files import read_jsonl, write_text
from steerheal.jobs import Canary, Evaluate, Extract, Result, Steering
from steerheal.loop import run_trial
from steerheal.trial_data import TrialData, load_data
from steerheal.worker import LocalStages, Worker, load_worker

from . import DATA, card_text
from .personas import DEFAULT_NEUTRAL

DOSES = (0.125, 0.25, 0.375, 0.5, 0.75, 1.0, 1.125, 1.5, 2.25, 3.0, 4.5)
ROUNDS = 5
LONG_VIGNETTES = 66
LONG_RUN = ({"reg": "nll"}, {"reg": "kl_rev", "lam": 1.0})
PERSONAS = ("care_over_authority", "loyalty_over_fairness", "liberty_over_sanctity")


class Measurer:
    """The stages on the built-in model, with the card's data at hand."""

    def __init__(self, worker: Worker, space: Space):
        self.worker, self.space = worker, space
        self.stages = LocalStages(worker)
        self.model = worker.facts.fingerprint
        self.data: TrialData = load_data(space)
        self.settings = space.settings
        self.suite = Suite(
            prompts=tuple(
                CanaryPrompt(id=p.id, prompt=p.text, topic="dilemma", seen=True, kind="open")
                for p in self.data.prompts
            )
        )

    def evaluation(self, system: str | None = None, steering: Steering | None = None) -> Evaluate:
        """The job that profiles base on the card's vignettes."""
        return Evaluate(
            self.model,
            (),
            steering,
            system,
            self.data.vignettes,
            self.data.instrument,
            self.settings.evaluate.think_tokens,
        )

    def vector(self, persona: Persona) -> str:
        """The key of the persona's vector on base."""
        steer = self.settings.steer
        (made,) = self.stages.run(
            [
                Extract(
                    self.model,
                    (),
                    persona.positive,
                    persona.negative,
                    self.data.contexts,
                    steer.layers,
                    steer.method,
                )
            ]
        )
        return made.key

    def texts(self, steerings: Sequence[Steering | None]) -> list[dict]:
        """How the answers to the prompts of steered generation read, one entry per steering."""
        jobs = [
            Canary(self.model, (), steering, DEFAULT_NEUTRAL, self.suite, 1, self.settings.sample, 0)
            for steering in steerings
        ]
        return [self.reading(result) for result in self.stages.run(jobs)]

    def reading(self, result: Result) -> dict:
        """Perplexity under base (last quarter), repetition, share of undamaged and of correct answers, an
        example."""
        rows = read_jsonl(self.worker.store.folder(result.key) / "answers.jsonl")
        perplexity = [row["measures"].get("perplexity", math.inf) for row in rows]
        facts = [row for row in rows if row["id"] in self.truth]
        return {
            "perplexity": math.exp(sum(min(math.log(p), 50.0) for p in perplexity) / len(rows)),
            "median": median(perplexity),
            "repetition": sum(row["measures"]["repetition"] for row in rows) / len(rows),
            "undamaged": result.summary["undamaged"],
            "facts": sum(self.truth[row["id"]] in row["beliefs"] for row in facts) / len(facts)
            if facts
            else None,
            "example": rows[0]["text"],
        }

    @property
    def truth(self) -> dict[str, str]:
        """Fact canary -> the belief that is true: the first one that the suite lists."""
        return {p.id: next(iter(p.beliefs)) for p in self.data.suite.prompts if p.kind == "fact"}


def measure_base(m: Measurer) -> dict:
    """Base's profile, text and facts; both sides of every shipped persona pair as a system prompt."""
    pairs = {name: load_space(DATA / "card.yaml", [f"persona={name}"]).persona for name in PERSONAS}
    systems = [None] + [side for pair in pairs.values() for side in (pair.positive, pair.negative)]
    base, *sides = [result.summary for result in m.stages.run([m.evaluation(system) for system in systems])]
    suite = Canary(
        m.model,
        (),
        None,
        DEFAULT_NEUTRAL,
        m.data.suite,
        m.settings.evaluate.canary_samples,
        m.settings.sample,
        0,
    )
    (canaries,) = m.stages.run([suite])
    return {
        "report": base,
        "text": m.texts([None])[0],
        "facts": m.reading(canaries)["facts"],
        "personas": {
            name: (pair, sides[2 * i], sides[2 * i + 1]) for i, (name, pair) in enumerate(pairs.items())
        },
    }


def measure_steering(m: Measurer) -> list[dict]:
    """One entry per dose: profile and text of base steered with the default pair's vector."""
    steerings = [Steering(m.vector(m.space.persona), dose) for dose in DOSES]
    reports = m.stages.run([m.evaluation(steering=steering) for steering in steerings])
    return [
        {"dose": steering.dose, "report": result.summary, "text": text}
        for steering, result, text in zip(steerings, reports, m.texts(steerings))
    ]


def measure_healing(m: Measurer) -> list[dict]:
    """One round under each regulariser of the card's space: (parameters, records per seed)."""
    return [
        {"params": params, "records": run_trial(m.space.trial(params), m.data, m.model, m.stages)["records"]}
        for params in m.space.grid()
    ]


def measure_rounds(m: Measurer, rounds: int) -> list[dict]:
    """Several rounds of nll and of kl_rev with lam 1; each record gets the reading of its canaries."""
    space = load_space(DATA / "card.yaml", [f"rounds={rounds}", f"evaluate.vignettes={LONG_VIGNETTES}"])
    made = []
    for params in LONG_RUN:
        records = run_trial(space.trial(params), m.data, m.model, m.stages, _say)["records"]
        for record in records:
            key = record["keys"].get("canary")
            record["reading"] = m.reading(m.worker.store.get(key)) if key else None
        made.append({"params": params, "records": records})
    return made


def _say(record: dict) -> None:
    print({key: record[key] for key in ("seed", "round", "outcome", "gain", "coherence", "dose")}, flush=True)


def main() -> None:
    """Measure everything, write the card."""
    parser = argparse.ArgumentParser(prog="python -m steerheal.organism.card", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the Markdown file to write")
    parser.add_argument(
        "--store", type=Path, default=Path("tune_runs/card_store"), help="where artefacts are kept"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of the long run")
    args = parser.parse_args()
    space = load_space(DATA / "card.yaml")
    m = Measurer(load_worker(space.model, args.store, device=args.device), space)
    write_text(
        args.out,
        card_text.render(
            measure_base(m), measure_steering(m), measure_healing(m), measure_rounds(m, args.rounds), m
        ),
    )


if __name__ == "__main__":
    cli.run(main)
