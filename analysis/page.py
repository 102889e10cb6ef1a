"""A sweep as one HTML page, from the question down to what to run next."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis import beliefs, leaderboard, samples, tables, voice
from analysis.asking import asking, reference_table
from analysis.bands import depth_in_words, where
from analysis.cost import cost
from analysis.figures.gates import KEPT, counted
from analysis.figures.theme import Figure, inline
from analysis.goal import meanings
from analysis.html import Html, join, paragraphs, raw, section, table, tag
from analysis.judged import judged
from analysis.load import Sweep
from analysis.nextsteps import next_steps
from analysis.race import race
from analysis.words import answer, progress
from steerheal import __version__
from steerheal.files import sha256

STYLE = Path(__file__).with_name("page.css")
# What the page says of an experiment other than steering.
TOLD = {"voice": voice, "belief": beliefs}
# Parts that only steering has, or that its own part on an experiment replaces.
STEERING = ("texts", "completions")
INTRODUCTION = (
    "A language model can be pushed towards a trait by adding a vector to its inner states while it writes "
    "(steering); pushed too far, it becomes incoherent. Here each trial steers, keeps the completions that stayed "
    "coherent, and trains a small adapter on them (healing), so that the trait stays without the vector. "
    "The trials differ in their settings; the page compares what came of it."
)


def page(sweep: Sweep, figures: Mapping[str, Sequence[Figure]]) -> str:
    """The whole document."""
    parts = _parts(sweep, figures)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{sweep.name}: a steerheal sweep"),
        tag("style", raw(STYLE.read_text(encoding="utf-8"))),
    )
    body = tag("body", _header(sweep, parts), tag("main", [made for _, _, made in parts]), _footer(sweep))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _parts(sweep: Sweep, figures: Mapping[str, Sequence[Figure]]) -> list[tuple[str, str, Html]]:
    drawn = {name: _drawn(found) for name, found in figures.items()}
    told = TOLD.get(sweep.experiment)
    found = [
        part("answer", "The question, and the answer", _question(sweep)),
        part("words", "What the words mean", _meanings(sweep)),
        *(part(*one) for one in (told.parts(sweep, drawn) if told else ())),
        part("leaderboard", "Leaderboard", _leaderboard(sweep) if sweep.rows else None),
        part("bands", "Where in the depth the trait lives", _with(drawn.get("bands"), where(sweep))),
        part("race", "The race", race(sweep)),
        part("differences", "Which differences are real", tables.differences(sweep)),
        part("trade", "Trait against coherence", drawn.get("trade")),
        part("ladder", "The barrier, from weak to strong", drawn.get("ladder")),
        part("rounds", "Round by round", drawn.get("rounds")),
        part("filter", "What the filter dropped", _filter(sweep, drawn.get("filter"))),
        part("healing", "Inside the healing", drawn.get("healing")),
        part("texts", "Texts: base, prompted, steered, healed", _texts(sweep)),
        part("completions", "Training texts, kept and dropped", samples.kept_and_dropped(sweep)),
        part("canaries", "Canaries", tables.canaries(sweep)),
        part("judged", "Judged by another model", judged(sweep)),
        part("cost", "Cost", cost(sweep)),
        part("next", "What to run next", _next(sweep)),
        part("settings", "What was run", _settings(sweep)),
    ]
    return [one for one in found if one and (told is None or one[0] not in STEERING)]


def part(anchor: str, title: str, content: Html | None) -> tuple[str, str, Html] | None:
    """A section with its place in the contents, unless there is nothing in it."""
    return (anchor, title, section(anchor, title, content)) if content else None


def _drawn(figures: Sequence[Figure]) -> Html | None:
    return tag("div", [inline(figure) for figure in figures], class_="figures") if figures else None


def _with(drawn: Html | None, told: Html | None) -> Html | None:
    return join([told, drawn]) if told else None


def _leaderboard(sweep: Sweep) -> Html:
    return join([leaderboard.leaderboard(sweep), reference_table(sweep)])


def _filter(sweep: Sweep, drawn: Html | None) -> Html | None:
    return join([drawn, tables.drops(counted(sweep), KEPT)]) if drawn else None


def _header(sweep: Sweep, parts: Sequence[tuple[str, str, Html]]) -> Html:
    seeds = f"seed{'s' if len(sweep.seeds) > 1 else ''} {', '.join(map(str, sweep.seeds)) or 'unknown'}"
    seeds = f"a race over {seeds}" if sweep.racing else seeds
    rounds = sweep.space.get("rounds") or 1
    rounds = f"{rounds} round{'s' if rounds > 1 else ''}"
    model = model_name(sweep)
    links = [tag("a", title, href=f"#{anchor}") for anchor, title, _ in parts]
    told = f"{progress(sweep)}, {rounds}, {seeds}, model {model}"
    return tag(
        "header",
        tag("h1", sweep.name),
        tag("p", told[0].upper() + told[1:] + ".", class_="sub"),
        tag("nav", links, aria_label="contents"),
    )


def model_name(sweep: Sweep) -> str:
    """The base model's name."""
    model = sweep.space.get("model", "unknown")
    return model.get("name", "unknown") if isinstance(model, Mapping) else str(model)


def _question(sweep: Sweep) -> Html:
    asked, told = sweep.space.get("hypothesis"), TOLD.get(sweep.experiment)
    return join(
        [
            tag("p", told.INTRODUCTION if told else INTRODUCTION),
            _among(sweep),
            [tag("h3", "What was expected"), tag("p", asked)] if asked else None,
            tag("h3", "What was found"),
            tag("div", paragraphs(_found(sweep)), class_="answer"),
        ]
    )


def _among(sweep: Sweep) -> Html | None:
    """That the space lists several models, and that their results are not compared."""
    names = sweep.space.get("among")
    if not names:
        return None
    said = (
        f"The space lists several models ({', '.join(map(str, names))}). Each has a sweep and a page of its own, and this "
        f"is that of {model_name(sweep)}: results are compared within a model, since one model's nats are not another's."
    )
    return tag("p", said)


def _found(sweep: Sweep) -> list[str]:
    told = TOLD.get(sweep.experiment)
    return told.answer(sweep) if told else [*depth_in_words(sweep), *answer(sweep), *asking(sweep)]


def _meanings(sweep: Sweep) -> Html:
    told = TOLD.get(sweep.experiment)
    said = told.MEANINGS if told else meanings(sweep.objective)
    return tag("dl", [tag("div", tag("dt", word), tag("dd", meaning)) for word, meaning in said])


def _texts(sweep: Sweep) -> Html | None:
    found = samples.side_by_side(sweep)
    if found is None:
        return None
    said = (
        "Answers to the canary prompts, first seed: the original model (base), the same model with the persona's text as "
        f"its system prompt (prompted) and with the vector at trial {sweep.shown['trial']}'s first dose (steered), and "
        "the trial's student without any vector (healed)."
    )
    return tag("div", tag("p", said), found)


def _next(sweep: Sweep) -> Html:
    return tag(
        "div",
        [
            [
                tag("p", step.why),
                tag("pre", tag("code", step.command), tabindex="0") if step.command else None,
            ]
            for step in next_steps(sweep)
        ],
    )


def _settings(sweep: Sweep) -> Html:
    searched = [[name, _plain(entry)] for name, entry in sweep.dimensions.items()]
    fixed = [
        [f"{group}.{name}", _plain(value)]
        for group, values in (sweep.space.get("settings") or {}).items()
        for name, value in values.items()
        if name not in sweep.dimensions
    ]
    data = [
        [f"{one['kind']} ({one['source']})", f"{one['digest']}, {one['rows'] or 'no'} rows"]
        for one in sweep.about.get("data", ())
    ]
    tags = [[name, value] for name, value in sweep.about.get("tags", {}).items()]
    best = sweep.folder.path / "adapters" / "best"
    where = (
        tag("p", "The best student is a PEFT adapter in ", tag("code", "adapters/best"), ".") if best.is_dir() else None
    )
    return tag(
        "div",
        where,
        table(("searched", "over"), searched, "Searched", "tw") if searched else None,
        tag(
            "details",
            tag("summary", "Fixed settings, model, data and code"),
            table(("setting", "value"), [*fixed, *data, *tags], "Fixed", "tw"),
        ),
    )


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)


def _footer(sweep: Sweep) -> Html:
    digest = sha256(sweep.folder.path / "space.yaml")[:12]
    return tag(
        "footer",
        f"steerheal {__version__}; made from the recorded files alone (space {digest}). "
        "The figures are in plots/, as PNG and SVG.",
    )
