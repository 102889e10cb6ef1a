"""Voice: an adapter on the user's own pairs; does it take on how their author writes, and at what cost?

    trait = −(mean nll per response token, in nats) of pairs that no trial trains on; gain = Δtrait against base

so a gain is positive when the student finds the voice's other responses likelier than base does. Coherence, slope and
verdict are those of steering. What is derived from the answers to canaries (`evaluation.voice`) stands beside them.
"""

import math
from collections.abc import Mapping

from steerheal import objective
from steerheal.config import TrialConfig
from steerheal.evaluation import damage
from steerheal.evaluation.voice import NOVEL, SEEN, taken
from steerheal.experiments.rounds import Experiment, Lane
from steerheal.jobs import Canary, Job, Pairs, Score, Stages, Style
from steerheal.pair_sets import in_order, kept_aside, response_of, system_of
from steerheal.statistics.means import mean, ratio
from steerheal.trial_data import TrialData

SPEAKERS = {"base": "canary_base", "prompted": "canary_prompted", "healed": "canary"}
# A kind of damage that this share of the voice's own texts shows is part of the voice.
USUAL = 0.1
# Texts that are looked at for it.
READ = 500


class Voice(Experiment):
    """Trained on pairs from a file. A seed chooses the pairs, and everything else that is random."""

    def __init__(self, trial: TrialConfig, data: TrialData, model: str, stages: Stages):
        super().__init__(trial, data, model, stages)
        self.pairs, self.aside = kept_aside(data.pairs, trial.voice.n_valid)
        self.system = system_of(data.pairs)
        self.exempt = usual_damage([response_of(pair) for pair in data.pairs[:READ]])

    def gather(self, lanes: list[Lane], number: int) -> None:
        """The first pairs in the seed's order."""
        self.stage("pairs", lanes, self._pairs)
        for lane in lanes:
            if lane.alive:
                lane.data = lane.found["pairs"].key

    def measurements(self, lane: Lane, number: int) -> dict[str, Job]:
        """The student, base, and base that is asked for the voice: profile, likelihood, answers to canaries."""
        asked = self.trial.voice.voice_prompt
        jobs: dict[str, Job] = {"base": self.evaluate(()), "score_base": self._score(())}
        if asked:
            jobs |= {"prompted": self.evaluate((), system=asked), "score_prompted": self._score((), asked)}
        if lane.alive:
            jobs |= {"healed": self.evaluate(lane.student), "score": self._score(lane.student)}
        if lane.alive and self.trial.evaluate.canary_samples:
            jobs |= {"canary_base": self._answers((), lane), "canary": self._answers(lane.student, lane)}
            if asked:
                jobs["canary_prompted"] = self._answers((), lane, asked)
        return jobs

    def measure(self, lanes: list[Lane], number: int) -> None:
        """The measurements, and what the answers have of the training texts."""
        super().measure(lanes, number)
        if self.trial.evaluate.canary_samples:
            self.stage("style", lanes, self._style)

    def figures(self, lane: Lane, number: int) -> dict:
        """What the trial asked for, what was learned of it, and the measurements' figures."""
        healed, base, canaries = lane.summary("healed"), lane.summary("base"), self.canaries(lane)
        nlls = {name: (lane.summary(name) or {}).get("nll") for name in ("score", "score_base", "score_prompted")}
        asked = lane.summary("prompted") or {}
        return {
            "prompted_gain": _gain(nlls["score_prompted"], nlls["score_base"]),
            "prompted_coherence": asked.get("coherence"),
            "pairs": lane.summary("pairs"),
            "healed": healed,
            "style": lane.summary("style"),
            **{name: lane.summary(name) for name in SPEAKERS.values()},
            "canaries": canaries,
            "own": self._own(lane, nlls),
            "references": self._references(lane, nlls),
        } | measured(healed or {}, base or {}, nlls, canaries)

    def _own(self, lane: Lane, nlls: Mapping[str, float | None]) -> dict[str, float | None]:
        """Further figures that are averaged over seeds."""
        heal, style = lane.summary("heal") or {}, lane.summary("style")
        held_out = [point["nll"] for point in heal.get("validation") or [] if point["nll"] is not None]
        found = {
            "train_nll": self._last_epoch(heal.get("steps") or [], lane),
            "overtrained": held_out[-1] - min(held_out) if held_out else None,
        }
        return found | (_style_figures(style) if style else {})

    def _last_epoch(self, steps: list[dict], lane: Lane) -> float | None:
        """Mean training loss of the last epoch, nats per token."""
        if not steps:
            return None
        each = math.ceil(lane.found["pairs"].summary["pairs"] / self.trial.heal.batch)
        return mean([step["nll"] for step in steps[-each:]]).mean

    def _references(self, lane: Lane, nlls: Mapping[str, float | None]) -> dict[str, dict]:
        """What is known of base, as it is and as it is asked for the voice."""
        named = {"base": ("base", "score_base"), "base prompted": ("prompted", "score_prompted")}
        return {
            name: {
                "trait": -nlls[score],
                "gain": _gain(nlls[score], nlls["score_base"]),
                "coherence": lane.summary(report)["coherence"],
                "nats": lane.summary(report)["nats"],
            }
            for name, (report, score) in named.items()
            if nlls[score] is not None and lane.summary(report)
        }

    def _pairs(self, lane: Lane) -> Job:
        voice = self.trial.voice
        order = in_order(self.pairs, lane.seed)
        return Pairs(self.model, order, voice.max_pair_tokens, voice.n_train, self.aside)

    def _score(self, student: tuple[str, ...], system: str | None = None) -> Job:
        return Score(self.model, student, system, self.aside, self.trial.voice.max_pair_tokens)

    def _answers(self, student: tuple[str, ...], lane: Lane, asked: str = "") -> Job:
        trial, system = self.trial, "\n\n".join(filter(None, (asked, self.system)))
        samples = trial.evaluate.canary_samples
        return Canary(
            self.model,
            student,
            None,
            system,
            self.data.suite,
            samples,
            trial.sample,
            lane.seed,
            trial.filter,
            exempt=self.exempt,
        )

    def _style(self, lane: Lane) -> Job:
        said = tuple((who, lane.found[name].key) for who, name in SPEAKERS.items() if name in lane.found)
        return Style(self.model, said, lane.data, self.data.suite)


def usual_damage(texts: list[str]) -> tuple[str, ...]:
    """Kinds of damage that are none in a student of this voice: what its own texts show, and being unlikely under base,
    which is what a voice is.
    """
    kinds = [kind for text in texts for kind in damage.assess(damage.Answer(text, 0, False)).kinds]
    return ("perplexity", *(kind for kind in damage.KINDS if kinds.count(kind) >= USUAL * len(texts)))


def measured(healed: Mapping, base: Mapping, nlls: Mapping[str, float | None], canaries: Mapping | None) -> dict:
    """The keys of `objective.measure`; there is no steered base, and no foundation that should have stayed."""
    gain = _gain(nlls["score"], nlls["score_base"])
    coherences = healed.get("coherence"), base.get("coherence")
    change = coherences[0] - coherences[1] if None not in coherences else None
    return {
        "trait": _negative(nlls["score"]),
        "gain": gain,
        "base_trait": _negative(nlls["score_base"]),
        "coherence": coherences[0],
        "base_coherence": coherences[1],
        "d_coherence": change,
        "slope": objective.slope(change, gain),
        "retain": None,
        "steered_gain": None,
        "steered_coherence": None,
        "unscorable": ratio(healed.get("unscorable"), healed.get("vignettes")),
        "canary_survival": canaries["survival"] if canaries else None,
        "moves": {},
        "off_moves": {},
        "off_target": None,
    }


def _style_figures(style: Mapping) -> dict[str, float | None]:
    """Memorised or style, on prompts of the training file and on novel ones; the voice's own texts as a measure."""
    speakers, voice = style["speakers"], style["voice"]
    found = {"voice_repeats": voice.get("memorised"), "voice_distance": voice.get("style_distance")}
    for one in (SEEN, NOVEL):
        student, base = speakers["healed"][one], speakers["base"][one]
        distances = student.get("style_distance"), base.get("style_distance"), found["voice_distance"]
        found |= {f"memorised_{one}": student.get("memorised"), f"style_{one}": taken(*distances)}
    return found


def _gain(nll: float | None, base: float | None) -> float | None:
    return None if nll is None or base is None else base - nll


def _negative(nll: float | None) -> float | None:
    return None if nll is None else -nll
