"""What a voice sweep says, in sentences, tables and answers side by side."""

from collections.abc import Mapping, Sequence

from analysis import words
from analysis.asking import found_contest
from analysis.html import Html, join, paragraphs, table, tag
from analysis.load import Sweep
from analysis.samples import clipped
from analysis.voice_data import Estimate, asked, barrier, differences, enough, measure, sizes, twins, unsound
from steerheal.evaluation.voice import GROUPS, best, profile
from steerheal.live import figure, params_text
from steerheal.statistics.means import finite, mean

INTRODUCTION = (
    "An adapter is trained on pairs of a prompt and a response in somebody's voice, on the responses alone. Has it "
    "learned to write so, or learned the pairs by heart, and what did that cost? The trials differ in how many pairs they "
    "train on and in how; all are measured on the same pairs, which none of them trains on, and by their answers to "
    "prompts of the file and to novel ones."
)
MEANINGS = (
    (
        "gain",
        "how much likelier the held-out responses became than the untouched model (base) finds them, in nats per token: "
        "the natural logarithm of a probability. 0.69 nats is a factor of two.",
    ),
    (
        "memorised",
        "the share of an answer's runs of five words that occur in the trial's own training responses. A voice repeats "
        "itself, so it is read against texts of the same voice that were not trained on.",
    ),
    (
        "style",
        "how far the answers' use of letters (trigrams) went from base's (0) to that of the voice (1).",
    ),
    (
        "coherence",
        "the share of probability that lies on sensible answers in a forced choice about moral scenes, from 0 to 1. A "
        "broken model puts it elsewhere; a voice should leave it alone.",
    ),
    ("slope", "hundredths of coherence lost per nat gained. Lowest is best; below zero, coherence rose too."),
    (
        "canaries",
        "the share of answers that show no damage, relative to base. What the voice's own texts do (a hashtag, say) is no "
        "damage, nor is it to surprise base.",
    ),
    (
        "lam",
        "how hard a barrier, lam · relu(divergence − tau), holds training near base; nll has no barrier.",
    ),
    (
        "verdict",
        "ok: ranked as the sweep wants. broken: incoherent. damaged: canaries suffered. wrong way, no-op, weak: the held-out "
        "responses became less likely, hardly likelier, or too little to rank. diverged, failed: why there is no result.",
    ),
    (
        "± and intervals",
        "± is one standard error over seeds. Two trials are tied when the interval of their paired difference, seed by "
        "seed and corrected for all pairs, contains zero.",
    ),
)
SPEAKERS = {"base": "base", "prompted": "base, asked for the voice", "healed": "trained"}
MEASURES = (
    ("words", "words", 1),
    ("compression", "compressed to (share)", 2),
    ("hashtags", "hashtags", 2),
    ("handles", "handles (@name)", 2),
    ("calls", "calls to action", 2),
    ("repetition", "repetition", 2),
    ("memorised", "memorised", 2),
    ("longest_shared", "longest run of words from a training text", 1),
    ("style_distance", "style: distance from the voice", 2),
)
SHOWN = {"seen": 3, "novel": 4, "long-form": 2}
LITTLE = 0.02
ASKED = {
    "healing": "So training beats asking.",
    "asking": "So asking beats training.",
    "open": "So neither is shown to beat the other.",
    "trade": "So it trades coherence for that.",
}
NAMED = 8


def answer(sweep: Sweep) -> list[str]:
    """How many pairs are enough, whether they were learned by heart, whether asking would have done."""
    found, usual = sizes(sweep), words.answer(sweep)
    if not found:
        return usual
    return [*_many(sweep, found), *_heart(sweep, found), *_asking(sweep), *_held(sweep), *_left_out(sweep), *usual]


def parts(sweep: Sweep, drawn: Mapping[str, Html]) -> list[tuple[str, str, Html | None]]:
    """(anchor, title, content) of the page's own sections."""
    found = sizes(sweep)
    return [
        ("voice", "How many pairs it takes", join([drawn.get("voice"), _by_size(sweep, found)]) if found else None),
        ("trained", "What is trained on", _example(sweep)),
        ("said", "Answers side by side", _side_by_side(sweep)),
        ("measures", "What the answers have of the voice", _measures(sweep)),
    ]


def _many(sweep: Sweep, found: Mapping[int, dict]) -> list[str]:
    apart, most = differences(sweep, found), max(found)
    gains = [
        f"{size} pairs {row['summary']['gain']:.2f}{_error(row['summary'], 'gain')} (trial {row['trial']})"
        for size, row in found.items()
    ]
    said = [
        f"With the best settings for each, the voice's other responses gain, in nats per token: {', '.join(gains)}."
    ]
    said += [
        f"With {size} no trial is sound: {', '.join(f'{verdicts.count(one)} {one}' for one in dict.fromkeys(verdicts))}."
        for size, verdicts in unsound(sweep, found).items()
    ]
    fewest = enough(found, apart)
    if len(found) > 1 and fewest is None:
        said.append("One seed: none of these differences has been shown to be real.")
    elif fewest is not None:
        said += [_against(size, pair, most) for size, pair in apart.items()]
        said.append(
            f"More pairs are worth having: no smaller number reaches what {most} do."
            if fewest == most
            else f"{fewest} pairs are enough here: {most} are not shown to gain more."
        )
    return [" ".join(said)]


def _against(size: int, pair, most: int) -> str:
    bounds = f" ({pair.low:+.2f} to {pair.high:+.2f})" if finite(pair.low) else ""
    real = "more than noise between seeds" if pair.real else "which may be noise"
    return f"{size} against {most}: {pair.difference:+.2f}{bounds}, {real}."


def _heart(sweep: Sweep, found: Mapping[int, dict]) -> list[str]:
    said = []
    for size, row in found.items():
        above, style = measure(sweep, row, "memorised_novel", "voice_repeats"), measure(sweep, row, "style_novel")
        share, own = measure(sweep, row, "memorised_novel"), measure(sweep, row, "voice_repeats")
        if None in (above, style, share, own):
            continue
        recited = (
            "recitation"
            if (above.low or 0) > LITTLE
            else "no recitation"
            if above.high is not None and above.high <= LITTLE
            else "no clear sign of recitation"
        )
        said.append(
            f"After {size} pairs, {100 * share.mean:.0f}% of the five-word runs in answers to novel prompts stand in the "
            f"training texts; of the voice's own held-out texts {100 * own.mean:.0f}% do. The difference, {_span(above, 100)} "
            f"points, is {recited}. The answers' style went {100 * style.mean:.0f}% of the way from base to the voice."
        )
    return said


def _asking(sweep: Sweep) -> list[str]:
    """Whether training beats asking, at equal coherence."""
    prompted = asked(sweep)
    if prompted is None:
        return []
    said = "Asking base for the voice by a system prompt gains {:.2f} nats, at coherence {:.4f}.".format(*prompted)
    found = found_contest(sweep, "prompted")
    if found is None or found.gain.difference is None:
        return [said]
    pair = found.gain
    bounds = f" ({pair.low:+.2f} to {pair.high:+.2f}, for all trials at once)" if finite(pair.low) else ""
    which = "Of the trials that are no less coherent," if found.rivals else "No trial is as coherent as that;"
    more = f"{which} trial {found.student} gains most: {pair.difference:+.2f} against it{bounds}."
    return [f"{said} {more} {ASKED[found.verdict]}"]


def _held(sweep: Sweep) -> list[str]:
    gain, coherence = barrier(sweep, "gain"), barrier(sweep, "coherence")
    if gain is None or coherence is None:
        return []
    return [
        f"In {len(twins(sweep))} pairs of trials that differ in the barrier alone, it changed gain by {_span(gain)} nats and "
        f"coherence by {_span(coherence, 100)} hundredths."
    ]


def _left_out(sweep: Sweep) -> list[str]:
    pairs = next((record["pairs"] for record in sweep.records if record.get("pairs")), None)
    if not pairs or not pairs["too_long"]:
        return []
    many = len(pairs["too_long"])
    one = "pair of the file is" if many == 1 else "pairs of the file are"
    return [f"{many} {one} longer than {pairs['limit']} tokens and left out: {', '.join(pairs['too_long'][:NAMED])}."]


def _by_size(sweep: Sweep, found: Mapping[int, dict]) -> Html:
    rows = [
        [
            size,
            row["trial"],
            params_text({n: v for n, v in row["params"].items() if n != "n_train"}),
            f"{figure(row['summary']['gain'])}{_error(row['summary'], 'gain')}",
            figure(row["summary"].get("coherence"), 4),
            _told(measure(sweep, row, "train_nll")),
            _told(mean_of(sweep, row, "trait", -1)),
            _told(measure(sweep, row, "overtrained")),
            _told(measure(sweep, row, "memorised_seen")),
            _told(measure(sweep, row, "memorised_novel")),
            _told(measure(sweep, row, "voice_repeats")),
            _told(measure(sweep, row, "style_novel")),
        ]
        for size, row in found.items()
    ]
    head = (
        "pairs",
        "best trial",
        "settings",
        "gain",
        "coherence",
        "loss on its pairs",
        "held-out loss",
        "risen since its best",
        "memorised, known prompts",
        "memorised, novel prompts",
        "the voice itself",
        "style, novel prompts",
    )
    return table(
        head, rows, "The trial that gains most with each number of pairs; losses in nats per token", "nnwnnnnnnnnn"
    )


def _example(sweep: Sweep) -> Html | None:
    pairs = next((record["pairs"] for record in sweep.records if record.get("pairs")), None)
    if not pairs:
        return None
    said = (
        "One pair as the model reads it, with the tags of its chat template. Only what stands between ⟦ and ⟧ is trained "
        "on, the end of the response included; the prompt is not."
    )
    return join(
        [
            tag("p", said),
            tag("div", tag("blockquote", clipped(pairs["example"])), class_="said"),
            paragraphs(_left_out(sweep)),
        ]
    )


def _side_by_side(sweep: Sweep) -> Html | None:
    """Per prompt the best of each speaker's samples, by group of prompts; the first seed of the trial that gains most."""
    shown = _shown(sweep)
    if shown is None:
        return None
    number = shown["trial"]
    lines, aside = sweep.answers(number), sweep.completions(number)
    seed = min((line["seed"] for line in lines), default=None)
    target = profile(line["text"] for line in aside if line.get("held_out") and line["seed"] == seed)
    kinds = _groups(sweep)
    said: dict[str, dict[str, list[dict]]] = {}
    for line in lines:
        if line["seed"] == seed and line["id"] in kinds:
            said.setdefault(line["id"], {}).setdefault(line["who"], []).append(line)
    if not said:
        return None
    chosen = [(one, [by for name, by in said.items() if kinds[name] == one][: SHOWN[one]]) for one in GROUPS]
    samples = max(len(answers) for by in said.values() for answers in by.values())
    told = (
        f"Trial {number}, seed {seed}. Of {samples} samples each the best is shown: undamaged, and closest to the voice; base "
        "is chosen from as kindly as the student."
    )
    titles = {"seen": "Prompts of the file", "novel": "Novel prompts", "long-form": "Longer answers"}
    shown = [[tag("h3", titles[one]), [_trio(by, target) for by in many]] for one, many in chosen if many]
    return tag("div", tag("p", told), shown)


def _trio(by: Mapping[str, Sequence[dict]], target: Mapping[str, int]) -> Html:
    texts = []
    for who, label in SPEAKERS.items():
        if who in by:
            line = best(by[who], target)
            hurt = tag("p", "damage: ", ", ".join(line["damage"]), class_="why") if line.get("damage") else None
            texts.append(tag("div", tag("h4", label), hurt, tag("blockquote", clipped(line["text"])), class_="said"))
    return tag("article", tag("h3", next(iter(by.values()))[0]["prompt"]), tag("div", texts, class_="trio"))


def _shown(sweep: Sweep) -> dict | None:
    """The trial whose answers are shown: the one that gains most."""
    return max(sizes(sweep).values(), key=lambda row: row["summary"]["gain"], default=sweep.shown)


def _groups(sweep: Sweep) -> dict[str, str]:
    """Prompt's id → its group, as the records tell."""
    return next((record["style"]["groups"] for record in sweep.records if record.get("style")), {})


def _measures(sweep: Sweep) -> Html | None:
    """Means over the seeds of the trial that gains most, by speaker and group of prompts, beside the voice's own."""
    shown = _shown(sweep)
    styles = [record["style"] for record in sweep.last(shown["trial"]) if record.get("style")] if shown else []
    if not styles:
        return None
    columns = [(who, one) for one in GROUPS for who in SPEAKERS if all(who in style["speakers"] for style in styles)]
    columns = [(who, one) for who, one in columns if styles[0]["speakers"][who][one]["answers"]]
    rows = []
    for name, label, digits in MEASURES:
        cells = [
            figure(mean([style["speakers"][who][one].get(name) for style in styles]).mean, digits)
            for who, one in columns
        ]
        rows.append([label, *cells, figure(mean([style["voice"].get(name) for style in styles]).mean, digits)])
    head = ("mean of an answer", *(f"{one}: {SPEAKERS[who]}" for who, one in columns), "the voice itself")
    caption = f"Trial {shown['trial']}; the voice itself: its held-out texts, measured in the same way"
    return table(head, rows, caption, "t" + "n" * (len(columns) + 1))


def mean_of(sweep: Sweep, row: Mapping, name: str, sign: int) -> Estimate | None:
    """A figure of a trial's summary, as the tables show it."""
    value = row["summary"].get(name)
    return Estimate(sign * value, None, None) if finite(value) else None


def _told(found: Estimate | None) -> str:
    return "–" if found is None else f"{found.mean:.2f}"


def _span(found: Estimate, scale: float = 1.0) -> str:
    bounds = "" if found.low is None else f" ({scale * found.low:+.2g} to {scale * found.high:+.2g})"
    return f"{scale * found.mean:+.2g}{bounds}"


def _error(summary: Mapping, name: str) -> str:
    error = summary.get(f"{name}_se")
    return f" ± {error:.2f}" if finite(error) else ""
