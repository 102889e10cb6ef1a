"""The requests that a trial makes of the stages: pure data, each with a content key.

A job holds everything its stage needs, by value or as the key of an earlier artefact, so equal jobs have equal
results and are computed once. `student` is the history: keys of Heal artefacts, oldest first; `()` is base.
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

# Raise when a stage's results change meaning: older artefacts are then no longer taken for the same thing.
STAGE_VERSION = 2


def plain(value: Any) -> Any:
    """A job's field as JSON would hold it: dataclasses and pydantic models become dicts, tuples lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


@dataclass(frozen=True)
class Job:
    """One stage's request. `model` is the fingerprint of the loaded base (weights, dtype, device kind).

    asks: it only asks a student something, and makes nothing that is trained on or applied.
    """

    stage: ClassVar[str]
    asks: ClassVar[bool] = False
    model: str

    @property
    def key(self) -> str:
        """sha256 (hex) of the canonical JSON of stage, version and fields."""
        described = json.dumps([self.stage, STAGE_VERSION, plain(self)], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(described.encode()).hexdigest()

    @property
    def adapter(self) -> str | None:
        """The top of its student, if it has one."""
        student = getattr(self, "student", ())
        return student[-1] if student else None

    @property
    def adapters(self) -> int:
        """How many adapters a pass holds for it, which is what `resources.pack` limits: none to ask base."""
        return 0 if self.asks and not self.adapter else 1


@dataclass(frozen=True)
class Extract(Job):
    """The vector between two personas, on a student; `layers` None means the model's own middle blocks."""

    stage: ClassVar[str] = "extract"
    student: tuple[str, ...]
    positive: str
    negative: str
    contexts: tuple[str, ...]
    layers: tuple[int, ...] | None
    method: str


@dataclass(frozen=True)
class Steering:
    """`vector` (the key of an Extract artefact) applied at a dose; how a direction is applied is `apply`."""

    vector: str
    dose: float
    apply: str = "add"
    steer_prompt: bool = True


@dataclass(frozen=True)
class Prompt:
    """One user prompt of a named set."""

    id: str
    text: str


@dataclass(frozen=True)
class Collect(Job):
    """Dose ladder, steered generation and filter of one round.

    `steering.dose` holds alpha: the ladder multiplies it by kappa. `sample`, `dose` and `filter` are the sections
    of the trial's settings with those names.
    """

    stage: ClassVar[str] = "collect"
    student: tuple[str, ...]
    steering: Steering
    system: str
    prompts: tuple[Prompt, ...]
    seed: int
    round: int
    sample: Any
    dose: Any
    filter: Any


@dataclass(frozen=True)
class Conversation:
    """(role, content) of each message; the last is the assistant's response, which alone is trained on.

    ended: whether the response is whole, so that its end is learned, too.
    """

    id: str
    messages: tuple[tuple[str, str], ...]
    ended: bool = True


@dataclass(frozen=True)
class Pairs(Job):
    """Conversations as token ids, prompt and response apart. One longer than `max_tokens` is left out and named.

    count: the first so many that fit are trained on (None: all); `held_out` are validated on, and never trained on.
    """

    stage: ClassVar[str] = "pairs"
    conversations: tuple[Conversation, ...]
    max_tokens: int
    count: int | None = None
    held_out: tuple[Conversation, ...] = ()


@dataclass(frozen=True)
class Heal(Job):
    """A fresh adapter on top of `student`, trained on what `data` (a Collect or Pairs artefact) says is used.

    `heal` is the settings section with `lam` already multiplied for the round; `reference` is the history whose
    output distribution the barrier holds on to (the student itself for `prev`, `()` for `base`).
    """

    stage: ClassVar[str] = "heal"
    student: tuple[str, ...]
    reference: tuple[str, ...]
    data: str
    heal: Any
    seed: int


@dataclass(frozen=True)
class Vignette:
    """One scenario with the share of human raters (in percent) per foundation, in the instrument's key order."""

    id: str
    foundation: str
    text: str
    human: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Evaluate(Job):
    """The tinymfv profile of a student, steered or not, with an optional system prompt.

    `bands`: the settings section with that name, None for the student as it is.
    """

    stage: ClassVar[str] = "evaluate"
    asks: ClassVar[bool] = True
    student: tuple[str, ...]
    steering: Steering | None
    system: str | None
    vignettes: tuple[Vignette, ...]
    instrument: Any
    think_tokens: int
    bands: Any = None


@dataclass(frozen=True)
class Score(Job):
    """How likely the conversations' responses are to a student, perhaps under a system prompt."""

    stage: ClassVar[str] = "score"
    asks: ClassVar[bool] = True
    student: tuple[str, ...]
    system: str | None
    conversations: tuple[Conversation, ...]
    max_tokens: int


@dataclass(frozen=True)
class Canary(Job):
    """`samples` answers to each prompt of a canary suite, with their damage and beliefs; `bands` as in Evaluate.

    `exempt` names kinds of damage that are none here, since what was trained on has them too. `filter` is the section of
    the trial's settings with that name: its limits are also those of damage.
    """

    stage: ClassVar[str] = "canary"
    asks: ClassVar[bool] = True
    student: tuple[str, ...]
    steering: Steering | None
    system: str
    suite: Any
    samples: int
    sample: Any
    seed: int
    filter: Any
    bands: Any = None
    exempt: tuple[str, ...] = ()


@dataclass(frozen=True)
class Style(Job):
    """What speakers' answers to canaries, (name, key of a Canary artefact) each, have of the texts that a Pairs artefact
    `data` trained on and held out.
    """

    stage: ClassVar[str] = "style"
    answers: tuple[tuple[str, str], ...]
    data: str
    suite: Any


@dataclass(frozen=True)
class Result:
    """What a stage gives back: the artefact's key, its small summary, the seconds it took, whether it was a hit."""

    key: str
    stage: str
    summary: dict
    seconds: float
    hit: bool


class Stages(Protocol):
    """Anything that can run jobs: this process (`worker.LocalStages`) or a Ray cluster (`actors.RayStages`)."""

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """Results in the order of `jobs`; equal keys are computed once. Raises StageError when a job cannot finish."""
