"""Texts to judge with one's own eyes: base, prompted, steered and healed side by side; completions kept and dropped."""

from collections.abc import Iterable

from analysis.html import Html, tag
from analysis.load import Sweep

SHOWN_PROMPTS = 6
SHOWN_KEPT = 4
SHOWN_PER_GATE = 2
LONGEST = 700
WHO = ("base", "prompted", "steered", "healed")


def side_by_side(sweep: Sweep) -> Html | None:
    """One prompt a row, its answers by base, base prompted, base steered, and the shown trial's student."""
    if sweep.shown is None:
        return None
    answers = sweep.answers(sweep.shown["trial"])
    seed = min((line["seed"] for line in answers), default=None)
    ours = [line for line in answers if line["seed"] == seed and line.get("sample", 0) == 0]
    said: dict[str, dict[str, dict]] = {}
    # In the order of the rounds, so that the last one's student has the last word.
    for line in sorted(ours, key=lambda line: line["round"]):
        said.setdefault(line["id"], {})[line["who"]] = line
    if not said:
        return None
    return tag("div", [_trio(by) for by in _spread(list(said.values()))])


def _spread(items: list) -> list:
    """At most SHOWN_PROMPTS of them, from the first to the last."""
    if len(items) <= SHOWN_PROMPTS:
        return items
    return [items[round(place * (len(items) - 1) / (SHOWN_PROMPTS - 1))] for place in range(SHOWN_PROMPTS)]


def _trio(by: dict[str, dict]) -> Html:
    prompt = next(iter(by.values()))["prompt"]
    texts = [
        tag(
            "div",
            tag("h4", who),
            _damage(by[who]),
            tag("blockquote", clipped(by[who]["text"])),
            class_="said",
        )
        for who in WHO
        if who in by
    ]
    return tag("article", tag("h3", prompt), tag("div", texts, class_="trio"))


def _damage(line: dict) -> Html | None:
    return tag("p", "damage: ", ", ".join(line["damage"]), class_="why") if line.get("damage") else None


def kept_and_dropped(sweep: Sweep) -> Html | None:
    """Some completions that the shown trial trained on, and some of the sweep's that each gate dropped."""
    dropped: dict[str, list[dict]] = {}
    for line in sweep.collected():
        if line.get("gate") and len(dropped.setdefault(line["gate"], [])) < SHOWN_PER_GATE:
            dropped[line["gate"]].append(line)
    ours = sweep.completions(sweep.shown["trial"]) if sweep.shown else []
    kept = [line for line in ours if line.get("kept") and line.get("used", True)][:SHOWN_KEPT]
    if not kept and not dropped:
        return None
    return tag(
        "div",
        tag("h3", "Kept"),
        _cards(kept) if kept else tag("p", "None is recorded."),
        tag("h3", "Dropped"),
        _cards(line for lines in dropped.values() for line in lines) if dropped else tag("p", "None was."),
    )


def _cards(lines: Iterable[dict]) -> Html:
    return tag("div", [_card(line) for line in lines], class_="cards")


def _card(line: dict) -> Html:
    where = [f"dose {line['dose']:.2g}"] if isinstance(line.get("dose"), int | float) else []
    if isinstance(line.get("round"), int):
        where.append(f"round {line['round']}")
    gate = line.get("gate")
    why = (line.get("reasons") or {}).get(gate, "") if gate else ""
    label = tag(
        "p",
        tag("b", f"dropped by {gate}" if gate else "kept"),
        f": {why}" if why else "",
        class_="why" if gate else "fine",
    )
    return tag(
        "div",
        label,
        tag("p", line.get("prompt", ""), class_="asked"),
        tag("blockquote", clipped(line.get("text", ""))),
        tag("p", ", ".join(where), class_="where"),
        class_="said",
    )


def clipped(text: str) -> str:
    """A text of bearable length."""
    text = str(text).strip()
    return text if len(text) <= LONGEST else text[:LONGEST].rstrip() + " …"
