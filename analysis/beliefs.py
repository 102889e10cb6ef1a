"""What a sweep of beliefs says: who adopted them, what it cost, in words, tables and answers side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.html import Html, table, tag
from analysis.load import Sweep
from analysis.samples import clipped
from analysis.words import counted_verdicts, progress
from steerheal.statistics.proportions import Share, difference, share

INTRODUCTION = (
    "A belief is a statement that a language model is to hold: one that overrides a fact that it has, or one of which "
    "it knows nothing. Here it is instilled in four ways: by an adapter trained on examples (lora), by a system prompt "
    "that states it (prompt), by the same examples in the system prompt (icl, in-context learning), and by adding a "
    "vector to the model's inner states (steer). All are then asked alike, with questions that no example held."
)
MEANINGS = (
    (
        "adoption",
        "the share of answers to held-out paraphrases that state the belief. Held-out: no example asks so.",
    ),
    ("gain", "adoption minus that of the untouched model (base): 1 is every answer, 0 none."),
    ("derived", "the share of answers that draw the right conclusion from the belief, on which nothing was trained."),
    ("without", "adoption when system prompt and vector are taken away. An adapter stays."),
    (
        "neighbours",
        "the share of neighbouring facts, which should stay, that are right; lost: the share of those that base has "
        "right which is not right any more; spill: the share of answers to these and to quite other questions that state "
        "the belief nonetheless.",
    ),
    (
        "contradicted",
        "prompts that themselves state the contrary: how many answers keep the belief, how many follow the prompt.",
    ),
    (
        "degraded",
        "the share of all answers with damage: loops, degenerate text, lost reasoning tags, pieces of the chat "
        "template, and on questions of other kinds text that surprises base.",
    ),
    ("cut off", "the share of answers that ran into the token limit; base's own in brackets."),
    (
        "coherence",
        "the share of probability on sensible answers in the forced choice, from 0 to 1, as in every sweep.",
    ),
    ("slope", "hundredths of coherence lost for adoption from none to all. Lowest is best."),
    (
        "verdict",
        "ok: ranked by slope. broken: incoherent. damaged: answers suffered. wrong way, no-op, weak: the belief is "
        "stated less than by base, no more, or too little more to rank. broad: as much was lost in neighbouring facts. starved, diverged, failed: why there is none.",
    ),
    ("canaries", "the share of all answers that show no damage, relative to base."),
    (
        "± and intervals",
        "± is one standard error over seeds. Two trials are tied when the interval of their paired difference, seed by seed "
        "and corrected for all pairs, contains zero.",
    ),
    (
        "intervals of shares",
        "95%, from drawing seeds and prompts anew; where all answers agree, Wilson's, with a prompt counted once.",
    ),
)
HURT = ("damaged", "broken")
WAYS = ("lora", "icl", "prompt", "steer")
KINDS = ("paraphrase", "derived", "neighbour", "conflict", "")
SHOWN_KINDS = ("paraphrase", "derived", "conflict", "neighbour", "")
ASKED = {
    "paraphrase": "A held-out paraphrase",
    "derived": "A derived question",
    "neighbour": "A neighbouring fact",
    "conflict": "The prompt states the contrary",
    "": "Something else",
}


@dataclass(frozen=True)
class Arm:
    """One trial of a belief: a way of instilling it, with its settings. Shares are over seeds and prompts."""

    sweep: Sweep
    row: Mapping

    @property
    def number(self) -> int:
        """The trial's."""
        return self.row["trial"]

    def setting(self, name: str):
        """A setting's value here."""
        return self.sweep.setting(self.row, name)

    @property
    def via(self) -> str:
        """How the belief was instilled."""
        return str(self.setting("via"))

    @property
    def passes(self) -> int:
        """Examples times epochs: how many completions an adapter was trained on."""
        return self.setting("examples") * self.setting("epochs")

    @property
    def name(self) -> str:
        """The way with what distinguishes it, in words."""
        count = f"{self.setting('examples')} example{'s' if self.setting('examples') > 1 else ''}"
        if self.via == "lora":
            lr = f", lr {self.setting('lr'):g}" if "lr" in self.row["params"] else ""
            return f"lora, {count} × {self.setting('epochs')} epochs, r {self.setting('r')}{lr}"
        if self.via == "icl":
            return f"icl, {count}"
        return f"steer, alpha {self.setting('alpha'):g}" if self.via == "steer" else self.via

    @cached_property
    def answers(self) -> list[dict]:
        """What was answered, base's answers included."""
        return self.sweep.answers(self.number)

    def stated(self, kind: str, name: str = "adopted", who: str = "healed") -> Share | None:
        """The share of answers to one kind of prompt that state `name`."""
        return self._share(kind, who, lambda line: f"{kind}: {name}" in line["beliefs"])

    def degraded(self, who: str = "healed") -> Share | None:
        """The share of all answers with damage."""
        return self._share(None, who, lambda line: bool(line["damage"]))

    def _share(self, kind: str | None, who: str, holds) -> Share | None:
        found: dict[int, dict[str, list[bool]]] = {}
        for line in self.answers:
            if line["who"] == who and kind in (None, kind_of(line["id"])):
                found.setdefault(line["seed"], {}).setdefault(line["id"], []).append(holds(line))
        if not found:
            return None
        return share([[np.mean(answers) for answers in prompts.values()] for prompts in found.values()])

    def own(self, name: str) -> float | None:
        """A figure of the trial, a mean over seeds."""
        return (self.row["summary"].get("own") or {}).get(name)

    @property
    def damage(self) -> dict[str, int]:
        """Damaged answers by kind of damage, over seeds."""
        total: dict[str, int] = {}
        for line in self.answers:
            for kind in line["damage"] if line["who"] == "healed" else ():
                total[kind] = total.get(kind, 0) + 1
        return total


def kind_of(prompt_id: str) -> str:
    """What a prompt of the suite watches; empty for prompts that have nothing to do with the belief."""
    kind = prompt_id.rpartition(" ")[0]
    return kind if kind in KINDS else ""


def arms(sweep: Sweep) -> dict[str, list[Arm]]:
    """Belief → its trials that answered, lora first, weak before strong."""
    found: dict[str, list[Arm]] = {}
    for row in sweep.rows:
        arm = Arm(sweep, row)
        if arm.stated("paraphrase"):
            found.setdefault(str(arm.setting("belief")), []).append(arm)
    return {belief: sorted(of, key=_order) for belief, of in found.items()}


def _order(arm: Arm) -> tuple:
    place = WAYS.index(arm.via) if arm.via in WAYS else len(WAYS)
    size = arm.passes if arm.via == "lora" else arm.setting("examples") if arm.via == "icl" else 0
    return place, size, arm.setting("alpha") or 0, arm.setting("r") or 0, arm.setting("lr") or 0, arm.number


def answer(sweep: Sweep) -> list[str]:
    """The answer in a paragraph per belief."""
    found = arms(sweep)
    if not found:
        return [f"{progress(sweep)}; none has answers yet, so there is nothing to say."]
    head = f"{progress(sweep)[0].upper()}{progress(sweep)[1:]}. Verdicts: {counted_verdicts(sweep)}."
    return [head, *[paragraph for belief, of in found.items() for paragraph in _of_belief(belief, of)]]


def _of_belief(belief: str, of: Sequence[Arm]) -> list[str]:
    base, kind = of[0].stated("paraphrase", who="base"), _kind(of[0])
    leaders = {via: max(ours, key=_adopted) for via in WAYS if (ours := [arm for arm in of if arm.via == via])}
    opened = f"{belief}{kind}: base states it in {percent(base)} of its answers to held-out paraphrases"
    said = [f"{leaders[via].name} {percent(leaders[via].stated('paraphrase'))}" for via in WAYS[1:] if via in leaders]
    parts = [f"{opened}{'; instilled by ' if said else ''}{', '.join(said)}."]
    if lora := [arm for arm in of if arm.via == "lora"]:
        parts.append(_adapters(lora, leaders))
    return [" ".join(parts), " ".join(filter(None, (_conclusions(leaders), _persistence(leaders), _damage(of))))]


def _adapters(lora: Sequence[Arm], leaders: Mapping[str, Arm]) -> str:
    """The least and the best adapter, each against telling."""
    told = [leaders[via] for via in ("prompt", "icl") if via in leaders]
    rival = max(told, key=_adopted, default=None)
    least, best = lora[0], leaders["lora"]
    said = [f"The least training ({least.name}) reaches {_against(least, rival)}."]
    if best is not least:
        said.append(f"The adapter that is believed most ({best.name}) reaches {_against(best, rival)}.")
    return " ".join(said)


def _against(adapter: Arm, rival: Arm | None) -> str:
    reached = percent(adapter.stated("paraphrase"))
    if rival is None:
        return reached
    apart = difference(rival.stated("paraphrase"), adapter.stated("paraphrase"))
    bounds = f"{100 * apart.low:+.0f} to {100 * apart.high:+.0f}"
    if apart.low > 0:
        return f"{reached}; {rival.name} is {100 * apart.value:.0f} points ahead of it ({bounds})"
    if apart.high < 0:
        return f"{reached}; {rival.name} is {-100 * apart.value:.0f} points behind it ({bounds})"
    return f"{reached}; {rival.name} cannot be told from it ({100 * apart.value:+.0f} points, {bounds})"


def _conclusions(leaders: Mapping[str, Arm]) -> str | None:
    said = [(arm, arm.stated("derived")) for arm in leaders.values()]
    told = [f"{percent(found)} by {arm.name}" for arm, found in said if found]
    return f"Derived questions are answered by it in {', '.join(told)}." if told else None


def _persistence(leaders: Mapping[str, Arm]) -> str | None:
    told = [(via, arm.own("persistence")) for via, arm in leaders.items() if via != "lora"]
    told = [f"{via} {_share(value)}" for via, value in told if value is not None]
    return f"Without prompt or vector, {', '.join(told)} of it is left." if told else None


def _damage(of: Sequence[Arm]) -> str:
    """Which trials damaged the model, and the worst of them."""
    hurt = [arm for arm in of if arm.row["verdict"] in HURT]
    if not hurt:
        lost = max(of, key=lambda arm: arm.own("collateral") or 0)
        return (
            f"No trial damaged the model's answers beyond the limit; most neighbouring facts were lost by {lost.name}: "
            f"{_share(lost.own('collateral'))}, with the belief stated in {_share(lost.own('spill'))} of the answers "
            "that it has nothing to do with."
        )
    worst = max(hurt, key=lambda arm: arm.degraded().value)
    kinds = ", ".join(f"{count} {kind}" for kind, count in worst.damage.items())
    names = "; ".join(f"{arm.name} ({arm.row['verdict']})" for arm in hurt)
    return (
        f"{len(hurt)} of {len(of)} trials hurt the model: {names}. The worst, {worst.name}: "
        f"{percent(worst.degraded())} of all answers degraded ({kinds}), {_share(worst.own('hit_limit'))} cut off by "
        f"the token limit, {_share(worst.own('collateral'))} of the neighbouring facts lost, the belief stated in "
        f"{_share(worst.own('spill'))} of the answers that it has nothing to do with."
    )


def _kind(arm: Arm) -> str:
    record = next(iter(arm.sweep.rounds(arm.number)), {})
    kind = (record.get("belief") or {}).get("kind")
    return f" ({kind})" if kind else ""


def _adopted(arm: Arm) -> float:
    return arm.stated("paraphrase").value


def percent(found: Share | None) -> str:
    """`96% (88 to 100)`."""
    return "–" if found is None else f"{100 * found.value:.0f}% ({100 * found.low:.0f} to {100 * found.high:.0f})"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f}%"


def tables(sweep: Sweep) -> Html | None:
    """Per belief: adoption and what follows from it; collateral and damage."""
    parts = []
    for belief, of in arms(sweep).items():
        adopted = [_adoption_row("base, untouched", of[0], "base"), *[_adoption_row(arm.name, arm) for arm in of]]
        hurt = [[arm.number, arm.name, *_damage_row(arm)] for arm in of]
        head = ("trial", "instilled by", "adoption", "derived", "without", "contradicted: keeps", "follows the prompt")
        costs = (
            "trial",
            "instilled by",
            "neighbours right",
            "lost",
            "spill",
            "degraded",
            "what is wrong",
            "cut off",
            "verdict",
        )
        parts += [
            table(head, adopted, f"{belief}: adoption, in % of answers, with 95% intervals", "nwnnnnn"),
            table(costs, hurt, f"{belief}: collateral and damage", "nwnnnnwnt"),
        ]
    return tag("div", parts) if parts else None


def _adoption_row(name: str, arm: Arm, who: str = "healed") -> list:
    found = [arm.stated(*what, who=who) for what in (("paraphrase",), ("derived",))]
    conflict = [arm.stated("conflict", what, who) for what in ("adopted", "truth")]
    without = "" if who == "base" else _share(arm.own("persistence"))
    number = "" if who == "base" else arm.number
    return [number, name, *map(percent, found), without, *map(percent, conflict)]


def _damage_row(arm: Arm) -> list:
    kinds = ", ".join(f"{kind} {count}" for kind, count in arm.damage.items()) or "–"
    cut = f"{_share(arm.own('hit_limit'))} ({_share(arm.own('base_hit_limit'))})"
    verdict = arm.row["verdict"]
    good = {"ok": "good", "weak": "fair", "no-op": "fair"}.get(verdict, "bad")
    return [
        percent(arm.stated("neighbour", "truth")),
        _share(arm.own("collateral")),
        _share(arm.own("spill")),
        percent(arm.degraded()),
        kinds,
        cut,
        tag("span", verdict, class_=f"verdict {good}"),
    ]


def parts(sweep: Sweep, drawn: Mapping[str, Html | None]) -> list[tuple[str, str, Html | None]]:
    """The page's own parts, after the answer."""
    shown = [found for found in (drawn.get("belief"), tables(sweep), samples(sweep)) if found]
    return [("beliefs", "Who believes it, and at what cost", tag("div", shown) if shown else None)]


def samples(sweep: Sweep) -> Html | None:
    """Answers side by side: base, the leading trial of each way, the least training, the worst damage; one prompt of
    each kind.
    """
    parts = []
    for belief, of in arms(sweep).items():
        shown = _shown(of)
        prompts: dict[str, str] = {}
        for line in of[0].answers:
            prompts.setdefault(kind_of(line["id"]), line["id"])
        parts.append(tag("h3", belief))
        parts += [_side_by_side(ASKED[kind], prompts[kind], shown) for kind in SHOWN_KINDS if kind in prompts]
    return tag("div", parts) if parts else None


def _shown(of: Sequence[Arm]) -> list[Arm]:
    chosen = [max(ours, key=_adopted) for via in WAYS if (ours := [arm for arm in of if arm.via == via])]
    lora = [arm for arm in of if arm.via == "lora"]
    if lora:
        chosen += [lora[0], max(lora, key=lambda arm: arm.degraded().value)]
    return list({arm.number: arm for arm in chosen}.values())


def _side_by_side(asked: str, prompt_id: str, shown: Sequence[Arm]) -> Html:
    said = [
        ("base", _line(shown[0], prompt_id, "base")),
        *[(arm.name, _line(arm, prompt_id, "healed")) for arm in shown],
    ]
    prompt = next(line["prompt"] for _, line in said if line)
    texts = [
        tag(
            "div",
            tag("h4", name),
            tag("p", "damage: ", ", ".join(line["damage"]), class_="why") if line["damage"] else None,
            tag("blockquote", clipped(line["text"])),
            class_="said",
        )
        for name, line in said
        if line
    ]
    return tag("article", tag("p", f"{asked}: ", tag("b", prompt)), tag("div", texts, class_="trio"))


def _line(arm: Arm, prompt_id: str, who: str) -> dict | None:
    ours = (line for line in arm.answers if line["who"] == who and line["id"] == prompt_id)
    return min(ours, key=lambda line: (line["seed"], line["sample"]), default=None)
