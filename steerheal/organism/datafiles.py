"""Write the data files of the built-in model: `python -m steerheal.organism.datafiles` (same files every
time)."""

import hashlib
import json
import random
from pathlib import Path

from steerheal import yaml_io

from . import DATA, beliefs, dilemmas, facts, instruments, judgements, opinions, voice
from .heldout import part
from .personas import AXES
from .situations import FOUNDATIONS, all_acts, label_shares, render

VIGNETTES = 132
CONTEXTS = 256
FACTS = 160
_REQUESTS = (
    "Help me plan a day off.|Write a greeting for a friend.|Tell me a short story.|What should I do on a "
    "rainy day?|"
    "Give me an idea for a gift.|How do I start a letter?|Tell me something nice.|What shall I cook tonight?|"
    "How can I sleep better?|Describe your morning.|Give me advice for a new town.|Say hello to my guests.|"
    "What makes a good day?|How do I keep a garden?|Tell me about your town.|What should I read next?"
).split("|")


_BELIEFS = """\
# Beliefs to instil in the built-in model, written by `python -m steerheal.organism.datafiles`; what each key means is
# told in steerheal/beliefs.py.
"""


def _lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _identity(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def vignettes(name: str) -> list[dict]:
    """132 vignettes of one held-out part: 19 per foundation, 18 for the last."""
    rng = random.Random(f"vignettes/{name}")
    rows = []
    for foundation in FOUNDATIONS:
        acts = [a for a in all_acts() if a.foundation == foundation and part(a) == name]
        count = VIGNETTES // 7 + (1 if foundation not in FOUNDATIONS[-1:] else 0)
        for act in rng.sample(acts, count):
            text = render(act, rng)
            rows.append(
                {"id": _identity(text), "foundation_coarse": foundation, "text": text}
                | {f"human_{f}": round(100 * s, 1) for f, s in label_shares(act).items()}
            )
    return rows


def contexts() -> list[dict]:
    """User turns for extraction: talk about topics, facts, small requests; none is a moral scene."""
    rng = random.Random("contexts")
    texts = list(_REQUESTS)
    while len(texts) < CONTEXTS:
        text = (
            opinions.ask(rng.choice(opinions.TOPICS), rng)
            if rng.random() < 0.7
            else facts.polite(facts.question(rng)[0], rng)
        )
        if text not in texts:
            texts.append(text)
    return [{"id": _identity(t), "text": t} for t in texts]


def prompts() -> list[dict]:
    """Prompts for steered generation: dilemmas that the corpus never shows, opinions, views on a scene."""
    rng = random.Random("prompts")
    rows: dict[str, str] = {}
    for axis, count in zip(AXES, (48, 12, 12)):
        while sum(topic == axis for topic in rows.values()) < count:
            rows[dilemmas.sample_dilemma(rng, axis, "prompts").question] = axis
    acts = [act for act in all_acts() if part(act) == "train"]
    while len(rows) < 96:
        rows[judgements.ask(render(rng.choice(acts), rng), rng)] = "scene"
    while len(rows) < 120:
        rows[opinions.ask(rng.choice(opinions.TOPICS), rng)] = "opinion"
    return [{"id": _identity(t), "text": t, "topic": topic} for t, topic in rows.items()]


def questions() -> list[dict]:
    """Questions with their answers: the real world's, and those of worlds that a system prompt states."""
    rng = random.Random("facts")
    rows: dict[tuple[str, str], str] = {}
    while len(rows) < FACTS // 2:
        question, answer = facts.question(rng)
        rows["", question] = answer
    while len(rows) < FACTS:
        world, says, name = facts.other_world(rng)
        question, answer = facts.about(name, world, rng)
        rows[says, question] = answer
    return [
        {"id": _identity(system + question), "system": system, "text": question, "answer": answer}
        for (system, question), answer in rows.items()
    ]


def pairs() -> list[dict]:
    """The demonstration set of a voice: conversations to train on."""
    return [
        {
            "id": _identity(prompt),
            "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": said}],
        }
        for prompt, said in voice.pairs()
    ]


def write(folder: Path = DATA) -> None:
    """All generated data files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "vignettes.jsonl": _lines(vignettes("tuning")),
        "vignettes_card.jsonl": _lines(vignettes("card")),
        "contexts.jsonl": _lines(contexts()),
        "prompts.jsonl": _lines(prompts()),
        "facts.jsonl": _lines(questions()),
        "beliefs.yaml": _BELIEFS + yaml_io.dump({"beliefs": beliefs.beliefs()}),
        "pairs.jsonl": _lines(pairs()),
        "instrument.json": json.dumps(instruments.OWN, indent=1, ensure_ascii=False) + "\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
