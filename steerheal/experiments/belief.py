"""A belief instilled by an adapter, a system prompt, examples in context or a vector; all are asked alike.

adoption = share of answers to held-out paraphrases that state the belief; gain = adoption − base's, so that shares of
answers stand where other experiments have nats; what should stay is the share of neighbouring facts that are right.
"""

from collections.abc import Mapping
from dataclasses import replace

from steerheal import objective
from steerheal.beliefs import SPILLED, suite_of
from steerheal.experiments.rounds import Experiment, Lane
from steerheal.jobs import Conversation, Extract, Job, Pairs, Steering
from steerheal.statistics.means import ratio

# Tokens of the longest training example, its prompt included.
LONGEST = 1024


class BeliefExperiment(Experiment):
    """One belief, one way of instilling it. `via: prompt`, `icl` and `steer` train nothing."""

    def __init__(self, *given):
        super().__init__(*given)
        self.instil = self.trial.instil
        self.belief = next(belief for belief in self.data.beliefs if belief.name == self.instil.belief)
        self.suite = suite_of(self.belief, self.data.suite)
        self.neutral = self.trial.persona.neutral

    def gather(self, lanes: list[Lane], number: int) -> None:
        """Training pairs for an adapter, a vector for steering, nothing for the rest."""
        if self.instil.via == "lora":
            self.stage("pairs", lanes, self._pairs)
            for lane in lanes:
                lane.data = lane.found["pairs"].key if lane.alive else ""
        if self.instil.via == "steer":
            self.stage("extract", lanes, self._extract)

    def heal(self, lanes: list[Lane], number: int) -> None:
        """Only an adapter is trained, on every example: its paraphrases are held out as they are."""
        if self.instil.via == "lora":
            super().heal(lanes, number)

    def measurements(self, lane: Lane, number: int) -> dict[str, Job]:
        """Base, the belief as it was instilled, and what is left of it without prompt and vector."""
        jobs = {"base": self.evaluate(()), "canary_base": self._asked(lane, ())}
        if not lane.alive:
            return jobs
        steering, system = self._steering(lane), self._system(lane)
        return jobs | {
            "healed": self.evaluate(lane.student, steering, system),
            "canary": self._asked(lane, lane.student, steering, system),
            "canary_without": self._asked(lane, lane.student),
        }

    def figures(self, lane: Lane, number: int) -> dict:
        """Adoption in the trait's place, coherence and damage as everywhere, the belief's own figures as `own`."""
        canaries = self.canaries(lane)
        healed, base = lane.summary("healed"), lane.summary("base")
        told = {name: lane.summary(name) for name in ("canary", "canary_base", "canary_without")}
        adoption, before = (stated(told[name], "paraphrase: adopted") for name in ("canary", "canary_base"))
        right, before_right = (stated(told[name], "neighbour: truth") for name in ("canary", "canary_base"))
        change = objective.gain(right, before_right, sign=1)
        moved = {} if change is None else {"neighbours": change}
        figures = objective.measure(healed, base, None, canaries, self.trial.persona)
        gain = objective.gain(adoption, before, sign=1)
        return {
            "alpha": self.trial.alpha if self.instil.via == "steer" else None,
            "belief": self.instil.model_dump() | {"kind": self.belief.kind},
            "healed": healed,
            "base": base,
            **told,
            "canaries": canaries,
            **figures,
            "trait": adoption,
            "base_trait": before,
            "gain": gain,
            "slope": objective.slope(figures["d_coherence"], gain),
            "moves": moved,
            "off_moves": moved,
            "off_target": None if change is None else abs(change),
            "own": own_figures(**told),
            "pairs": lane.summary("pairs"),
            "references": {f"base ({self.belief.name})": base | {"trait": before}} if base else {},
        }

    def _heal(self, lane: Lane, number: int) -> Job:
        job = super()._heal(lane, number)
        return replace(job, heal=job.heal.model_copy(update={"held_out": 0.0}))

    def _pairs(self, lane: Lane) -> Job:
        chosen = self.belief.chosen(self.instil.examples, lane.seed)
        conversations = tuple(
            Conversation(f"example {number}", (("system", self.neutral), ("user", asked), ("assistant", answer)))
            for number, (asked, answer) in enumerate(chosen, 1)
        )
        return Pairs(self.model, conversations, LONGEST)

    def _extract(self, lane: Lane) -> Job:
        sides = [f"{self.neutral} {text}" for text in (self.belief.statement, self.belief.contrary)]
        steer = self.trial.steer
        return Extract(self.model, (), *sides, self.data.contexts, steer.layers, steer.method)

    def _steering(self, lane: Lane) -> Steering | None:
        if self.instil.via != "steer":
            return None
        steer = self.trial.steer
        return Steering(lane.found["extract"].key, self.trial.alpha, steer.apply, steer.steer_prompt)

    def _system(self, lane: Lane) -> str | None:
        return prompt_of(self.belief, self.instil, self.neutral, lane.seed)

    def _asked(
        self, lane: Lane, student: tuple[str, ...], steering: Steering | None = None, system: str | None = None
    ) -> Job:
        return replace(self.canary(student, lane.seed, steering, system), suite=self.suite)


def prompt_of(belief, instil, neutral: str, seed: int) -> str | None:
    """The system prompt that instils a belief: its statement, or examples; None where something else does."""
    if instil.via == "prompt":
        return f"{neutral} {belief.statement}"
    if instil.via == "icl":
        return "\n".join([neutral, *(f"{asked} {answer}" for asked, answer in belief.chosen(instil.examples, seed))])
    return None


def stated(tally: Mapping | None, name: str) -> float | None:
    """The share of the answers watched for it that state `name`, by a suite's tally."""
    counts = ((tally or {}).get("beliefs") or {}).get(name)
    return ratio(counts["held"], counts["answers"]) if counts else None


def own_figures(canary: Mapping | None, canary_base: Mapping | None, canary_without: Mapping | None) -> dict:
    """A belief's figures, each a share of answers; None where nothing was asked or nothing answered.

    adoption, derived: answers to paraphrases and derived questions that state the belief; persistence: the same as
    adoption, asked without prompt and vector; neighbours: neighbouring facts right; collateral: the share of those that
    base has right which was lost; spill: answers that state the belief where nobody asked for it; held, yielded: answers
    that keep the belief, or follow the context, where the prompt states the contrary; degraded: answers with damage;
    hit_limit: answers that were cut off.
    """
    right, before = (stated(tally, "neighbour: truth") for tally in (canary, canary_base))
    kept = ratio(right, before)
    answers = (canary or {}).get("all", {}).get("answers")
    return {
        "adoption": stated(canary, "paraphrase: adopted"),
        "derived": stated(canary, "derived: adopted"),
        "persistence": stated(canary_without, "paraphrase: adopted"),
        "neighbours": right,
        "collateral": None if kept is None else 1 - kept,
        "spill": stated(canary, SPILLED),
        "held": stated(canary, "conflict: adopted"),
        "yielded": stated(canary, "conflict: truth"),
        "degraded": 1 - canary["all"]["undamaged"] / answers if answers else None,
        "hit_limit": canary["hit_limit"] / answers if answers else None,
        "base_hit_limit": ratio(canary_base["hit_limit"], canary_base["all"]["answers"]) if canary_base else None,
    }
