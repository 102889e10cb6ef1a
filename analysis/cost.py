"""What a sweep cost: seconds, tokens, and how much of the work was shared."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis.html import Html, table, tag
from analysis.load import Sweep
from analysis.tables import TALLIES
from steerheal.experiments.steer import ASKED
from steerheal.live import duration


@dataclass
class Stage:
    """What one stage cost: artefacts computed here and found, and their seconds."""

    computed: dict[str, float] = field(default_factory=dict)
    found: dict[str, float] = field(default_factory=dict)
    shared: int = 0
    saved: float = 0.0
    tokens: dict[str, int] = field(default_factory=dict)


STAGE_OF = (
    dict.fromkeys(("base", *ASKED, "steered", "healed"), "evaluate")
    | dict.fromkeys(TALLIES.values(), "canary")
    | dict.fromkeys(("score_base", "score_prompted"), "score")
)
STAGES = ("extract", "collect", "pairs", "heal", "evaluate", "score", "canary", "style")
# Those that write text.
WRITERS = ("collect", "canary", "evaluate")


def cost(sweep: Sweep) -> Html | None:
    """Seconds, tokens and cache hits, stage by stage."""
    stages = costs(sweep)
    if not stages:
        return None
    whole = sum(sum(stage.computed.values()) for stage in stages.values())
    rows = []
    for name, stage in stages.items():
        seconds = sum(stage.computed.values())
        share = seconds / whole if whole else 0.0
        rows.append(
            [
                name,
                len(stage.computed),
                len(stage.found),
                stage.shared,
                f"{seconds:.1f}",
                _bar(share),
                f"{stage.saved + sum(stage.found.values()):.1f}",
                f"{sum(stage.tokens.values()):,}" if stage.tokens else "–",
            ]
        )
    head = (
        "stage",
        "computed",
        "from earlier",
        "shared",
        "seconds",
        "share of time",
        "seconds saved",
        "tokens written",
    )
    saved = sum(stage.saved + sum(stage.found.values()) for stage in stages.values())
    said = (
        f"The finished trials' stages took {duration(whole)} of work. Stages with equal inputs are computed once: "
        f"{duration(saved)} of work was spared, by sharing between trials and rounds, or because an earlier run had "
        "done it. Trials run side by side, so a trial's own clock shows more than its share."
    )
    return tag("div", tag("p", said), table(head, rows, "Cost by stage", "tnnnntnn"))


def costs(sweep: Sweep) -> dict[str, Stage]:
    """Per stage: an artefact that no record computed was in the store already; one that several name was shared."""
    stages: dict[str, Stage] = {}
    thought = ((sweep.space.get("settings") or {}).get("evaluate") or {}).get("think_tokens") or 0
    uses: dict[tuple[str, str], list[tuple[float, bool]]] = {}
    for record in sweep.records:
        for name, key in (record.get("keys") or {}).items():
            stage = STAGE_OF.get(name, name)
            uses.setdefault((stage, key), []).append((record["seconds"][name], record["hits"][name]))
            if tokens := _tokens(record.get(name), stage, thought):
                stages.setdefault(stage, Stage()).tokens[key] = tokens
    for (name, key), found in uses.items():
        stage, seconds = stages.setdefault(name, Stage()), found[0][0]
        (stage.found if all(hit for _, hit in found) else stage.computed)[key] = seconds
        stage.shared += len(found) - 1
        stage.saved += (len(found) - 1) * seconds
    return {name: stages[name] for name in STAGES if name in stages}


def _tokens(summary: Mapping | None, stage: str, thought: int) -> int:
    """Tokens that were generated; an evaluation thinks twice per vignette."""
    if not summary or stage not in WRITERS:
        return 0
    return 2 * thought * (summary.get("vignettes") or 0) if stage == "evaluate" else summary.get("tokens") or 0


def _bar(share: float) -> Html:
    return tag("span", tag("i", style=f"width:{100 * share:.1f}%"), tag("b", f"{100 * share:.0f}%"), class_="bar")
