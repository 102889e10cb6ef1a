"""The tinymfv forced choice as token ids: prompts, the forced suffix, and where the answer is read.

The user turn holds a scenario and a JSON schema whose options are numbered in listing order; the student thinks;
the thought is closed, a nudge turn follows and the assistant is prefilled up to the answer's digit. Two listing
orders, forward and reversed, cancel position and digit bias.
"""

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from steerheal.students.chat import render

ORDERS = ("forward", "reversed")
_MARK = "steerheal-marks-the-end-of-this-turn"


@dataclass(frozen=True)
class Protocol:
    """An instrument made ready for one tokenizer.

    suffix_ids: everything that follows the thought, the prefill included; prefill_count: its length in tokens;
    answers: the token read for each listed digit; suppress: ids never drawn while thinking.
    """

    tokenizer: PreTrainedTokenizerBase
    instrument: Any
    suffix_ids: tuple[int, ...]
    prefill_count: int
    answers: tuple[int, ...]
    suppress: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, instrument: Any) -> "Protocol":
        """Tokenise what does not depend on the scenario."""
        bare = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
        prefill = instrument.prefill
        nudge = [{"role": "user", "content": instrument.nudge}, {"role": "assistant", "content": prefill}]
        turn = tokenizer.apply_chat_template(nudge, tokenize=False, continue_final_message=True)
        lead = turn[: turn.rindex(prefill)]
        before = bare(instrument.think_close + closing(tokenizer) + lead)
        answers = tuple(bare(str(digit))[0] for digit in range(len(instrument.options)))
        return cls(
            tokenizer,
            instrument,
            (*before, *bare(prefill)),
            len(bare(prefill)),
            answers,
            thinking_suppressed(tokenizer, instrument.think_close),
        )

    def prompt(self, scenario: str, order: str, system: str | None = None) -> tuple[int, ...]:
        """Ids up to and including the opening of the thought."""
        user = self.instrument.user_template.replace("{schema}", self.schema(order)).replace("{scenario}", scenario)
        messages = [{"role": "system", "content": system}] if system else []
        text = render(self.tokenizer, [*messages, {"role": "user", "content": user}])
        if not text.rstrip().endswith("<think>"):
            text += self.instrument.think_open
        return tuple(self.tokenizer(text)["input_ids"])

    def schema(self, order: str) -> str:
        """The JSON schema with the options in `order`."""
        options = self.instrument.options if order == "forward" else tuple(reversed(self.instrument.options))
        lines = [
            self.instrument.schema_option.replace("{index}", str(index)).replace("{gloss}", option.gloss)
            for index, option in enumerate(options)
        ]
        listed = self.instrument.schema_option_separator.join(lines)
        return self.instrument.schema_header + listed + self.instrument.schema_footer

    def by_foundation(self, values: list[float], order: str) -> dict[str, float]:
        """Values per listed digit → per foundation key."""
        keys = [option.key for option in self.instrument.options]
        return dict(zip(keys, values if order == "forward" else reversed(values)))

    def answered_early(self, thought: list[int]) -> int | None:
        """How many tokens of the thought end with the prefill's text, if it occurs and a token follows it."""
        if self.instrument.prefill not in self.tokenizer.decode(thought):
            return None
        for count in range(1, len(thought)):
            if self.instrument.prefill in self.tokenizer.decode(thought[:count]):
                return count
        return None


def closing(tokenizer: PreTrainedTokenizerBase) -> str:
    """The template's text between an assistant message's end and the next turn."""
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": _MARK}]
    return render(tokenizer, turns, open_assistant=False).split(_MARK)[1]


def thinking_suppressed(tokenizer: PreTrainedTokenizerBase, think_close: str) -> tuple[int, ...]:
    """The end token, and the id of the thought's closing tag when it is one token."""
    close = tokenizer.convert_tokens_to_ids(think_close)
    unknown = close is None or close == tokenizer.unk_token_id
    return tuple({tokenizer.eos_token_id, tokenizer.eos_token_id if unknown else close})
