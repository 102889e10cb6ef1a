"""Measure the built-in model and write its card: `python -m steerheal.organism.card --out MODEL_CARD.md`.

Every figure goes through the same stages as a sweep. Artefacts land in a store, so an interrupted run goes on
where it stopped. A few minutes on a GPU, about half an hour on two idle CPU cores.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, geometric_mean

from steerheal import cli, objective
from steerheal.config.space import Space, load_space
from steerheal.config.trial import Persona
from steerheal.evaluation.canary_suite import CanaryPrompt, Suite
from steerheal.files import read_jsonl, write_text
from steerheal.jobs import Canary, Evaluate, Extract, Result, Steering
from steerheal.loop import run_trial
from steerheal.trial_data import TrialData, load_data
from steerheal.worker import LocalStages, Worker, load_worker

from . import DATA, card_text
from .card_criteria import Measurements
from .personas import DEFAULT_NEUTRAL

DOSES = (0.125, 0.25, 0.375, 0.5, 0.75, 1.0, 1.125, 1.5, 2.25, 3.0, 4.5)
ROUNDS = 5
LONG_VIGNETTES = 66
LONG_RUN = ({"reg": "nll"}, {"reg": "kl_rev", "lam": 1.0})
PERSONAS = tuple(sorted(path.stem for path in (DATA / "personas").glob("*.yaml")))
# Rows decoded together: a GPU is idle at what keeps a CPU busy.
SLOTS = {"cpu": 64, "cuda": 512, "auto": 64}


class Measurer:
    """The stages on the built-in model, with the card's data at hand."""

    def __init__(self, worker: Worker, space: Space):
        self.worker, self.space = worker, space
        self.stages = LocalStages(worker)
        self.model = worker.base.fingerprint
        self.data: TrialData = load_data(space)
        self.settings = space.settings
        self.suite = Suite(
            prompts=tuple(
                CanaryPrompt(id=p.id, prompt=p.text, topic="dilemma", seen=True, kind="open") for p in self.data.prompts
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
            Canary(
                self.model, (), steering, DEFAULT_NEUTRAL, self.suite, 1, self.settings.sample, 0, self.settings.filter
            )
            for steering in steerings
        ]
        return [self.reading(result) for result in self.stages.run(jobs)]

    def reading(self, result: Result) -> dict:
        """Both means of perplexity, repetition, share of undamaged and of correct answers, an example."""
        rows = read_jsonl(self.worker.store.folder(result.key) / "answers.jsonl")
        facts = [row for row in rows if row["id"] in self.truth]
        return perplexities(rows) | {
            "repetition": fmean(row["measures"]["repetition"] for row in rows),
            "undamaged": result.summary["undamaged"],
            "facts": sum(self.truth[row["id"]] in row["beliefs"] for row in facts) / len(facts) if facts else None,
            "example": rows[0]["text"],
        }

    @property
    def truth(self) -> dict[str, str]:
        """Fact canary -> the belief that is true: the first one that the suite lists."""
        return {p.id: next(iter(p.beliefs)) for p in self.data.suite.prompts if p.kind == "fact"}


def perplexities(answers: Sequence[dict]) -> dict:
    """Two means over the answers whose perplexity (under base, last quarter) is a number; inf if none is.

    "perplexity" is the geometric mean: what a typical answer has. "mean_perplexity" is the arithmetic one, as
    published tables count: a tenth of the answers in loops decides it.
    """
    found = [row["measures"].get("perplexity") for row in answers]
    scored = [value for value in found if value is not None]
    if not scored:
        return {"perplexity": math.inf, "mean_perplexity": math.inf}
    return {"perplexity": geometric_mean(scored), "mean_perplexity": fmean(scored)}


def measure_base(m: Measurer) -> dict:
    """Base's profile, text and facts."""
    (report,) = m.stages.run([m.evaluation()])
    suite = Canary(
        m.model,
        (),
        None,
        DEFAULT_NEUTRAL,
        m.data.suite,
        m.settings.evaluate.canary_samples,
        m.settings.sample,
        0,
        m.settings.filter,
    )
    (canaries,) = m.stages.run([suite])
    return {
        "report": report.summary,
        "text": m.texts([None])[0],
        "facts": m.reading(canaries)["facts"],
    }


def measure_personas(m: Measurer) -> dict[str, dict]:
    """Per shipped pair: base under either side as a system prompt, and steered at the space's alpha."""
    pairs = {name: load_space(DATA / "card.yaml", [f"persona={name}"]).persona for name in PERSONAS}
    steerings = [Steering(m.vector(pair), m.space.alpha) for pair in pairs.values()]
    jobs = [m.evaluation()]
    for pair, steering in zip(pairs.values(), steerings):
        jobs += [m.evaluation(pair.positive), m.evaluation(pair.negative), m.evaluation(steering=steering)]
    base, *reports = [result.summary for result in m.stages.run(jobs)]
    texts = m.texts(steerings)
    return {
        name: _moves(pair, base, *reports[3 * i : 3 * i + 3]) | {"text": texts[i]}
        for i, (name, pair) in enumerate(pairs.items())
    }


def _moves(pair: Persona, base: dict, positive: dict, negative: dict, steered: dict) -> dict:
    """Nats of the pair's target against base under either prompt, and the gain of steering."""
    at = base["nats"][pair.target]
    return {
        "pair": pair,
        "base": at,
        "positive": positive["nats"][pair.target] - at,
        "negative": negative["nats"][pair.target] - at,
        "lowest": min(positive["coherence"], negative["coherence"]),
        "gain": objective.gain(steered["nats"][pair.target], at, pair.sign),
        "coherence": steered["coherence"],
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


def measure(m: Measurer, rounds: int) -> Measurements:
    """Every table of the card."""
    return Measurements(
        base=measure_base(m),
        personas=measure_personas(m),
        steering=measure_steering(m),
        healing=measure_healing(m),
        rounds=measure_rounds(m, rounds),
        pair=m.space.persona.name,
        alpha=m.space.alpha,
        think_tokens=m.settings.evaluate.think_tokens,
        device=m.worker.base.device.type,
    )


def _say(record: dict) -> None:
    print({key: record[key] for key in ("seed", "round", "outcome", "gain", "coherence", "dose")}, flush=True)


def main() -> None:
    """Measure everything, write the card."""
    parser = argparse.ArgumentParser(prog="python -m steerheal.organism.card", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the Markdown file to write")
    parser.add_argument("--store", type=Path, default=Path("tune_runs/card_store"), help="where artefacts are kept")
    parser.add_argument("--device", default="auto", choices=SLOTS, help="default: a GPU if there is one")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of the long run")
    args = parser.parse_args()
    cli.check_writable(args.out)
    space = load_space(DATA / "card.yaml")
    m = Measurer(load_worker(space.model, args.store, SLOTS[args.device], args.device), space)
    write_text(args.out, card_text.render(measure(m, args.rounds)))


if __name__ == "__main__":
    cli.run(main)
