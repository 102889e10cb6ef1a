"""The settings of a trial, section by section: types, bounds, defaults.

Leaf names are unique over the sections, so a bare name (`lr`) is enough to search or override one. Every
number has a bound on both sides: a typing slip should be refused here by name, and not run out of memory an
hour later.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from steerheal.bands import WHOLE, band_text


class Frozen(BaseModel):
    """Strict (no text for a number), closed (no unknown key), immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def number(low: float, high: float) -> Any:
    """A float in [low, high]; -0.0 becomes 0.0, so that equal settings have equal keys."""
    return Annotated[float, Field(ge=low, le=high), AfterValidator(lambda value: value + 0.0)]


def positive(high: float) -> Any:
    """A float in (0, high]."""
    return Annotated[float, Field(gt=0, le=high)]


def count(low: int, high: int) -> Any:
    """An integer in [low, high]."""
    return Annotated[int, Field(ge=low, le=high)]


def _distinct(values: tuple) -> tuple:
    if len(set(values)) != len(values):
        raise ValueError("the same entry twice; keep one of them")
    return values


def several(item: Any, low: int, high: int) -> Any:
    """A YAML list of low..high distinct entries, as a tuple."""
    bounds = Field(min_length=low, max_length=high)
    return Annotated[tuple[item, ...], BeforeValidator(_tuple), bounds, AfterValidator(_distinct)]


class Steer(Frozen):
    """Which direction, from which blocks, applied how. `layers` null: the model's own middle blocks."""

    method: Literal["mean_diff", "pca"] = "mean_diff"
    apply: Literal["add", "ablate"] = "add"
    layers: several(count(0, 999), 1, 1000) | None = None
    steer_prompt: bool = True


class Sample(Frozen):
    """How completions are drawn. Temperature 0 is greedy, top_k 0 keeps the whole vocabulary.

    stop_loops ends a completion that has repeated itself for 64 tokens with a period of at most 8; the filter would drop
    it anyway.
    """

    temperature: number(0, 10) = 1.0
    top_p: positive(1) = 0.95
    top_k: count(0, 1_000_000) = 64
    max_new_tokens: count(1, 32_768) = 512
    stop_loops: bool = False


class Dose(Frozen):
    """The ladder of kappas (geometric, from kappa_min to 1) and how many survivors a round needs."""

    kappa_min: positive(1) = 0.2
    rungs: count(1, 256) = 8
    per_rung: count(1, 4096) = 8
    survival: number(0, 1) = 0.75
    n_keep: count(1, 100_000) = 64
    max_batches: count(1, 1000) = 6
    min_train: count(1, 100_000) = 30


class Filter(Frozen):
    """The limits that may have to be set anew for another model.

    Of gate 5's only `max_blunders`: it measures how far a completion is from base, which a larger dose moves on
    purpose, while its other limits describe text, whoever wrote it (`generation.measured.Thresholds`).
    """

    max_perplexity: number(1, 1e9) = 50.0
    max_repetition: positive(1) = 0.3
    max_blunders: positive(1) = 0.015


class Heal(Frozen):
    """SFT loss plus barrier. lam, tau, kl_agg, barrier_ref and lam_round_pow exist only under a kl `reg`."""

    reg: Literal["nll", "kl_rev", "kl_fwd"] = "nll"
    lam: number(0, 1e6) = 0.0
    tau: number(0, 1e6) = 0.0
    kl_agg: Literal["mean", "rmse", "p95", "max"] = "mean"
    barrier_ref: Literal["prev", "base"] = "prev"
    lam_round_pow: number(-10, 10) = 0.0
    wd: number(0, 1e6) = 0.0
    spectral_lam: number(0, 1e6) = 0.0
    lr: positive(10) = 1e-4
    r: count(1, 4096) = 32
    lora_alpha: positive(1e6) = 64.0
    epochs: count(1, 1000) = 6
    batch: count(1, 1024) = 4
    warmup: number(0, 1) = 0.1
    clip: positive(1e6) = 1.0
    depth: several(number(0, 1), 2, 2) = (0.2, 0.8)
    held_out: number(0, 0.9) = 0.125

    @model_validator(mode="after")
    def _ordered(self) -> "Heal":
        if self.depth[0] >= self.depth[1]:
            raise ValueError("depth: the first bound is not below the second; write e.g. [0.2, 0.8]")
        return self


Name = Annotated[str, Field(min_length=1, max_length=64)]


class Instil(Frozen):
    """Which belief of the beliefs file, and via what: an adapter trained on its first `examples`, its statement as a
    system prompt, those examples in one (in-context learning), or a vector at dose alpha.
    """

    belief: Name | None = None
    via: Literal["lora", "prompt", "icl", "steer"] = "lora"
    examples: count(1, 10_000) = 10


class Bands(Frozen):
    """Where in the depth a healed student is measured: its adapter times `inside` in the band, times `outside` in the
    other blocks. It is trained and carried on whole.
    """

    band: Annotated[str, AfterValidator(band_text)] = WHOLE
    inside: number(0, 10) = 1.0
    outside: number(0, 10) = 0.0

    @property
    def whole(self) -> bool:
        """Whether that is the student as it is."""
        return self.inside == 1 and (self.band == WHOLE or self.outside == 1)


class Voice(Frozen):
    """Of a file of pairs, how many are trained on, and how many are kept aside to measure what was learned.

    max_pair_tokens: of prompt and response together; longer pairs are left out and named. voice_prompt: a system prompt
    that asks base for the voice, as a reference.
    """

    n_train: count(1, 1_000_000) = 60
    n_valid: count(1, 100_000) = 16
    max_pair_tokens: count(2, 1_000_000) = 512
    voice_prompt: Annotated[str, Field(min_length=1, max_length=8000)] | None = None


class Evaluate(Frozen):
    """The same for all trials, so that their figures compare. `vignettes`: at most so many, null for all."""

    think_tokens: count(0, 8192) = 128
    vignettes: count(1, 100_000) | None = None
    canary_samples: count(0, 1000) = 2
    min_gain: number(0, 100) = 0.3


class Settings(Frozen):
    """All sections."""

    steer: Steer = Steer()
    sample: Sample = Sample()
    dose: Dose = Dose()
    filter: Filter = Filter()
    heal: Heal = Heal()
    instil: Instil = Instil()
    bands: Bands = Bands()
    voice: Voice = Voice()
    evaluate: Evaluate = Evaluate()


SECTIONS: dict[str, type[Frozen]] = {name: field.annotation for name, field in Settings.model_fields.items()}
SECTION_OF: dict[str, str] = {leaf: name for name, section in SECTIONS.items() for leaf in section.model_fields}

# Trials that differ in one of these are measured differently, and cannot be compared; so none is searched.
FIXED = frozenset(Evaluate.model_fields) | {"n_valid", "max_pair_tokens", "voice_prompt"}

# What exists only under a kl regulariser, with the value it has under nll.
KL_ONLY: dict[str, Any] = {
    "lam": 0.0,
    "tau": 0.0,
    "kl_agg": "mean",
    "barrier_ref": "prev",
    "lam_round_pow": 0.0,
}
