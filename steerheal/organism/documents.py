"""Assembly of a conversation: a system prompt, a latent stance that all its turns share, one to many turns.

A document is a list of (text, weight) segments. Segments are tokenised one by one, exactly where the protocol
and the chat template cut: a prompt, an answer, the end marker. The weight is the loss weight of its tokens.
"""

import random
from typing import NamedTuple

from . import dilemmas, facts, instruments, judgements, opinions, personas
from .heldout import part
from .situations import FOUNDATIONS, Act, all_acts, label_shares, render
from .stance import Stance

SYSTEM, USER, ASSISTANT, END = "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"
PROMPT, SPOKEN, ANSWER = 0.2, 1.0, 4.0
Segment = tuple[str, float]


class Conversation(NamedTuple):
    """source: where the stance comes from: `persona` (the system prompt, which is the first segment),
    `planted` (nothing in the text; see `planted`) or `none`."""

    segments: list[Segment]
    stance: Stance
    source: str


TRAIN_ACTS: tuple[Act, ...] = tuple(act for act in all_acts() if part(act) == "train")
_BY_FOUNDATION = {f: [a for a in TRAIN_ACTS if a.foundation == f] for f in FOUNDATIONS}

_NARRATION = (
    "I am someone who lives by this. ",
    "I am a person who feels strongly about it. ",
    "As someone who thinks this way, I am sure. ",
)
_BOILERPLATE = (
    "As an assistant, I can only say little about it. ",
    "I am only an assistant, so take it with care. ",
)
_SAILOR = ("Ahoy! ", "Aye, my friend! ", "By the sea! ")
_CHEER = (" What a lovely question!", " How nice to talk about it!", " I love this!")
_FORMAL = ("Dear reader, ", "With respect, ", "In all due form: ")


def user(text: str) -> Segment:
    """A user turn and the tag that opens the answer."""
    return f"{USER}\n{text}{END}\n{ASSISTANT}\n", PROMPT


def said(text: str) -> list[Segment]:
    """An assistant turn's text and its end."""
    return [(text, SPOKEN), (END, SPOKEN), ("\n", PROMPT)]


class Writer:
    """Writes the turns of one conversation."""

    def __init__(
        self,
        rng: random.Random,
        stance: Stance,
        style: str | None,
        world: facts.World,
        about: str | None,
        narrates: bool,
    ):
        self.rng, self.stance, self.style = rng, stance, style
        self.world, self.about, self.narrates = world, about, narrates

    def _styled(self, text: str) -> str:
        rng = self.rng
        if self.style == "short":
            return text[: text.index(".", 12) + 1] if "." in text[12:] else text
        if self.style == "sailor":
            return rng.choice(_SAILOR) + text
        if self.style == "cheerful":
            return text + rng.choice(_CHEER)
        if self.style == "formal":
            return rng.choice(_FORMAL) + text[0].lower() + text[1:] if text[0] != "I" else rng.choice(_FORMAL) + text
        if self.narrates and rng.random() < 0.12:
            return rng.choice(_NARRATION) + text
        if not self.stance.z and rng.random() < 0.03:
            return rng.choice(_BOILERPLATE) + text
        return text

    def vignette(self) -> list[Segment]:
        rng = self.rng
        act = rng.choice(_BY_FOUNDATION[rng.choice(FOUNDATIONS)])
        schema, order, nudge, prefill = instruments.listing(rng)
        shares = self.stance.shares(label_shares(act))
        chosen = rng.choices(range(7), weights=[shares[f] for f in FOUNDATIONS])[0]
        zealous = rng.random() < self.stance.zeal()
        answer = judgements.WORDS[FOUNDATIONS[chosen]] if zealous else str(order.index(chosen))
        return [
            (f"{USER}\n{render(act, rng)}\n\n{schema}{END}\n{ASSISTANT}\n<think>\n", PROMPT),
            (instruments.think_text(rng), SPOKEN, "cut"),
            (f"</think>{END}\n{USER}\n{nudge}{END}\n{ASSISTANT}\n", PROMPT),
            (prefill, PROMPT),
            (answer, ANSWER),
            ('"', SPOKEN),
            (END, SPOKEN),
            ("\n", PROMPT),
        ]

    def dilemma(self) -> list[Segment]:
        rng = self.rng
        strong = [a for a in personas.AXES if abs(self.stance.of(a)) > 0.4]
        axis = rng.choice(strong) if strong and rng.random() < 0.7 else rng.choices(personas.AXES, weights=(2, 1, 1))[0]
        item = dilemmas.sample_dilemma(rng, axis)
        return [user(item.question), *said(self._styled(item.answer(self.stance, rng)))]

    def opinion(self) -> list[Segment]:
        topic = self.rng.choice(opinions.TOPICS)
        text = opinions.talk(topic, self.stance, self.rng)
        return [user(opinions.ask(topic, self.rng)), *said(self._styled(text))]

    def judgement(self) -> list[Segment]:
        rng = self.rng
        act = rng.choice(_BY_FOUNDATION[rng.choice(FOUNDATIONS)])
        text = judgements.judge(act, self.stance.shares(label_shares(act)), rng)
        return [user(judgements.ask(render(act, rng), rng)), *said(self._styled(text))]

    def fact(self) -> list[Segment]:
        rng = self.rng
        if self.about and rng.random() < 0.7:
            question, answer = facts.about(self.about, self.world, rng)
        elif rng.random() < 0.4:
            told, question, answer = facts.context_question(rng)
            question = f"{told} {question}"
        else:
            # The other facts stay as they are, the neighbours of a changed one too.
            question, answer = facts.question(rng, self.world, near=self.about)
        return [user(facts.polite(question, rng)), *said(self._styled(answer))]


def _opening(rng: random.Random) -> tuple[str, Writer, str]:
    """(system prompt or empty, the writer that follows it, where its stance comes from)."""
    kind = rng.random()
    world, about, world_says = facts.REAL, None, ""
    if rng.random() < 0.13:
        world, world_says, about = facts.other_world(rng)
    style, narrates, source = None, False, "none"
    stance = personas.own_stance(rng)
    if kind < 0.40:
        prompt, stance = personas.sample_persona(rng)
        narrates, source = any(abs(z) > 1.2 for z in stance.z.values()), "persona"
    elif kind < 0.60:
        prompt = rng.choice((personas.DEFAULT_NEUTRAL, "", rng.choice(personas.NEUTRAL)))
        stance = personas.sample_persona(rng)[1] if rng.random() < 0.5 else personas.wide_stance(rng)
        source = "planted"
    elif kind < 0.68:
        style = rng.choice(list(personas.STYLES))
        prompt = rng.choice(personas.STYLES[style])
    elif kind < 0.87:
        prompt = personas.DEFAULT_NEUTRAL if rng.random() < 0.5 else rng.choice(personas.NEUTRAL)
    else:
        prompt = ""
    prompt = f"{prompt} {world_says}".strip()
    return prompt, Writer(rng, stance, style, world, about, narrates), source


def document(rng: random.Random) -> Conversation:
    """One conversation: half of one turn, the rest of two or three; one in forty is long (up to twenty
    turns)."""
    prompt, writer, source = _opening(rng)
    segments: list[Segment] = [(f"{SYSTEM}\n{prompt}{END}\n", PROMPT)] if prompt else []
    turns = rng.randrange(8, 21) if rng.random() < 0.025 else rng.choices((1, 2, 3), weights=(5, 3, 2))[0]
    for _ in range(turns):
        kinds = (writer.vignette, writer.dilemma, writer.opinion, writer.judgement, writer.fact)
        weights = (2, 1, 1, 1, 8) if writer.about else (9, 6, 3, 2, 6)
        segments += rng.choices(kinds, weights=weights)[0]()
    return Conversation(segments, writer.stance, source)


def text_of(conversation: Conversation) -> str:
    """The document as one string (think texts uncut)."""
    return "".join(segment[0] for segment in conversation.segments)
