"""What a sweep is after, as a space file says it: `slope`, `pareto`, or `{trait_at_coherence: 0.99}`."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from steerheal.config.sections import Frozen, number

KINDS = ("slope", "trait_at_coherence", "pareto")


class Objective(Frozen):
    """`coherence`: the least that counts, for `trait_at_coherence` alone."""

    kind: Literal[KINDS] = "slope"
    coherence: number(0, 1) | None = None

    def __str__(self) -> str:
        return self.kind if self.coherence is None else f"{self.kind} {self.coherence:g}"

    def entry(self) -> str | dict[str, float]:
        """As a space file says it."""
        return self.kind if self.coherence is None else {self.kind: self.coherence}


SLOPE = Objective()


def read_objective(value: Any) -> Objective:
    """Raises ValueError (`what; remedy`) for anything but the three forms."""
    if isinstance(value, Objective):
        return value
    if value in ("slope", "pareto"):
        return Objective(kind=value)
    if isinstance(value, dict) and list(value) == ["trait_at_coherence"]:
        least = value["trait_at_coherence"]
        if isinstance(least, int | float) and not isinstance(least, bool) and 0 <= least <= 1:
            return Objective(kind="trait_at_coherence", coherence=float(least))
    raise ValueError(
        "no objective that is known; write slope, pareto, or {trait_at_coherence: 0.99} with a coherence from 0 to 1"
    )


ObjectiveEntry = Annotated[Objective, BeforeValidator(read_objective)]
