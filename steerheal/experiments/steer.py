"""Steer and heal: extract → dose → filter → heal → fold → evaluate, per round."""

from steerheal import objective
from steerheal.experiments.rounds import Experiment, Lane
from steerheal.jobs import Collect, Extract, Job, Steering

# The answers of the student, of base, and of base as this round's dose steers it.
CANARIES = ("canary", "canary_base", "canary_steered")
# Base under a system prompt instead: the persona's own text, and the pair's engineered one.
ASKED = ("prompted", "engineered")


class Steer(Experiment):
    """Trained on its own steered completions; the trait is the persona's target foundation."""

    def gather(self, lanes: list[Lane], number: int) -> None:
        """Steered completions that pass the filter; a lane with too few of them starves."""
        self.stage("extract", lanes, self._extract)
        self.stage("collect", lanes, lambda lane: self._collect(lane, number))
        for lane in lanes:
            if lane.alive and lane.found["collect"].summary["starved"]:
                lane.end("starved")
            elif lane.alive:
                lane.data = lane.found["collect"].key

    def measurements(self, lane: Lane, number: int) -> dict[str, Job]:
        """Student, base, base steered, base prompted, and canaries; those of a base that is steered or prompted are
        for the reader's eyes, and in the first round only, which is shared by many trials.

        A lane that starved or diverged has no student, but what its dose does to base is worth knowing.
        """
        if "collect" not in lane.found:
            return {}
        steered = self._steering(lane, lane.found["collect"].summary["dose"])
        asked = self.trial.persona.prompts
        jobs: dict[str, Job] = {"base": self.evaluate(()), "steered": self.evaluate((), steered)}
        jobs |= {name: self.evaluate((), system=prompt) for name, prompt in asked.items()}
        if not lane.alive:
            return jobs
        jobs["healed"] = self.evaluate(lane.student)
        if self.trial.evaluate.canary_samples:
            jobs |= {"canary": self.canary(lane.student, lane.seed), "canary_base": self.canary((), lane.seed)}
            if number == 0:
                jobs["canary_steered"] = self.canary((), lane.seed, steered)
                for name, prompt in asked.items():
                    jobs[f"canary_{name}"] = self.canary((), lane.seed, system=prompt)
        return jobs

    def figures(self, lane: Lane, number: int) -> dict:
        """The dose, what was collected, and the measurements' figures."""
        collected, canaries = lane.summary("collect"), self.canaries(lane)
        evaluated = {name: lane.summary(name) for name in ("healed", "base", "steered")}
        asked = {name: lane.summary(name) for name in ASKED}
        return {
            "alpha": self.trial.alpha,
            "kappa": collected and collected["kappa"],
            "dose": collected and collected["dose"],
            "collect": collected,
            **evaluated,
            **asked,
            **{name: lane.summary(name) for name in (*CANARIES, *(f"canary_{name}" for name in ASKED))},
            "canaries": canaries,
        } | objective.measure(*evaluated.values(), canaries, self.trial.persona, asked)

    def _extract(self, lane: Lane) -> Job:
        persona, steer = self.trial.persona, self.trial.steer
        return Extract(
            self.model, lane.student, persona.positive, persona.negative, self.data.contexts, steer.layers, steer.method
        )

    def _steering(self, lane: Lane, dose: float) -> Steering:
        steer = self.trial.steer
        return Steering(lane.found["extract"].key, dose, steer.apply, steer.steer_prompt)

    def _collect(self, lane: Lane, number: int) -> Job:
        trial = self.trial
        return Collect(
            self.model,
            lane.student,
            self._steering(lane, trial.alpha),
            trial.persona.neutral,
            self.data.prompts,
            lane.seed,
            number,
            trial.sample,
            trial.dose,
            trial.filter,
        )
