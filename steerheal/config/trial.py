"""One trial, complete and checked: what the loop is given. No searched dimension, no default left open."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from steerheal.bands import edges
from steerheal.config.sections import (
    KL_ONLY,
    Bands,
    Dose,
    Evaluate,
    Filter,
    Frozen,
    Heal,
    Instil,
    Sample,
    Steer,
    Voice,
    count,
    number,
    several,
)
from steerheal.foundations import FOUNDATIONS, foundation_key

Prose = Annotated[str, Field(min_length=1, max_length=8000)]


def _foundation(value: Any) -> Any:
    return (foundation_key(value) or value) if isinstance(value, str) else value


Foundation = Annotated[Literal[FOUNDATIONS], BeforeValidator(_foundation)]


class Persona(Frozen):
    """A pair of opposites on one axis. Steering moves the trait of `target` in the direction `sign`;
    `companions` are expected to move with it, the other foundations are off-target.

    What healing has to beat is asking: base with a system prompt. `positive` is one; `engineered` may be another,
    written to work as well as a prompt can."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    positive: Prose
    negative: Prose
    target: Foundation
    sign: Literal[-1, 1]
    companions: several(Foundation, 0, 6) = ()
    neutral: Prose = "You are a helpful assistant."
    engineered: Prose | None = None

    @property
    def prompts(self) -> dict[str, str]:
        """What base is merely asked, by the name of its reference."""
        engineered = {"engineered": self.engineered} if self.engineered else {}
        return {"prompted": self.positive} | engineered

    @property
    def off_target(self) -> tuple[str, ...]:
        """The foundations that should stay where they are."""
        return tuple(name for name in FOUNDATIONS if name != self.target and name not in self.companions)

    @model_validator(mode="after")
    def _opposed(self) -> "Persona":
        if self.positive == self.negative:
            raise ValueError("negative: the same text as positive; describe the opposite pole")
        if self.target in self.companions:
            raise ValueError(f"companions: {self.target} is the target itself; list the others")
        return self


class ModelRef(Frozen):
    """Which base is loaded, and how. `path_or_hub` is a folder or a hub name."""

    name: Annotated[str, Field(min_length=1, max_length=4096)]
    path_or_hub: Annotated[str, Field(min_length=1, max_length=4096)]
    revision: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    load_in_4bit: bool = False


class Stop(Frozen):
    """A trial's rounds end early when the student's coherence falls below this floor; null: never."""

    coherence_below: number(0, 1) | None = None


# What a trial does each round; `steerheal.experiments` has a module for each.
ExperimentName = Literal["steer", "voice", "belief"]
Alpha = number(0, 1000)
Rounds = count(1, 1000)
Seeds = several(count(0, 2**31 - 1), 1, 1000)


class TrialConfig(Frozen):
    """Everything a trial's loop needs. Equal trials are equal and hash alike."""

    experiment: ExperimentName = "steer"
    alpha: Alpha
    rounds: Rounds
    seeds: Seeds
    steer: Steer = Steer()
    sample: Sample = Sample()
    dose: Dose = Dose()
    filter: Filter = Filter()
    heal: Heal = Heal()
    instil: Instil = Instil()
    bands: Bands = Bands()
    voice: Voice = Voice()
    evaluate: Evaluate = Evaluate()
    stop: Stop = Stop()
    model: ModelRef
    persona: Persona

    @model_validator(mode="after")
    def _possible(self) -> "TrialConfig":
        values = self.dose.model_dump() | self.heal.model_dump() | self.bands.model_dump()
        for names, rule in RULES:
            if problem := rule({name: values[name] for name in names}):
                raise ValueError(problem)
        return self


def _shrink(values: Mapping[str, Any]) -> str | None:
    if values["lr"] * values["wd"] >= 1:
        return (
            f"wd: lr {values['lr']:g} times wd {values['wd']:g} is not below 1, so every step would wipe out "
            "the adapter; lower wd or lr"
        )
    return None


def _enough(values: Mapping[str, Any]) -> str | None:
    if values["min_train"] > values["n_keep"]:
        return (
            f"min_train: {values['min_train']} completions are asked for but collection stops at n_keep "
            f"{values['n_keep']}; raise n_keep or lower min_train"
        )
    return None


def _ladder(values: Mapping[str, Any]) -> str | None:
    if values["kappa_min"] == 1 and values["rungs"] > 1:
        return "rungs: with kappa_min 1 every rung is the same dose; set rungs to 1, or lower kappa_min"
    return None


def _left(values: Mapping[str, Any]) -> str | None:
    held_out = max(1, round(values["min_train"] * values["held_out"])) if values["held_out"] else 0
    if held_out >= values["min_train"]:
        return (
            f"held_out: {values['held_out']:g} of min_train {values['min_train']} leaves nothing to train "
            "on; lower held_out or raise min_train"
        )
    return None


def _touched(values: Mapping[str, Any]) -> str | None:
    (low, high), (first, last) = edges(values["band"]), values["depth"]
    if not values["outside"] and (high <= first or low >= last):
        return (
            f"band: {values['band']} lies outside the depth {first:g} to {last:g} that is trained, so nothing would be "
            "measured; set depth to [0, 1], or choose another band"
        )
    return None


def _barrier(values: Mapping[str, Any]) -> str | None:
    idle = [name for name, neutral in KL_ONLY.items() if values["reg"] == "nll" and values[name] != neutral]
    if idle:
        return (
            f"{idle[0]}: it exists only for the kl regularisers and reg is nll; set reg to kl_rev or kl_fwd, "
            f"or leave {idle[0]} out"
        )
    return None


# What no single section can check: the settings involved, and a function that says "key: what; remedy".
RULES: tuple[tuple[tuple[str, ...], Callable[[Mapping[str, Any]], str | None]], ...] = (
    (("lr", "wd"), _shrink),
    (("n_keep", "min_train"), _enough),
    (("kappa_min", "rungs"), _ladder),
    (("min_train", "held_out"), _left),
    (("band", "outside", "depth"), _touched),
    (("reg", *KL_ONLY), _barrier),
)
