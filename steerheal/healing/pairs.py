"""Training pairs from a file: chat `messages`, or `prompt` and `completion` (also as steerheal.generate writes them).

Prompt and response are tokenised apart and only the response is trained on, up to and including the token that ends
an assistant's turn.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from steerheal.errors import UserError
from steerheal.evaluation.protocol import closing
from steerheal.generation.answers import stop_ids
from steerheal.healing.examples import Example
from steerheal.students.base import Base
from steerheal.students.chat import Message, render


def read_pairs(base: Base, file: Path, max_tokens: int) -> list[Example]:
    """Examples of a JSONL file; rows with `kept: false` are left out.

    Raises UserError naming file and line for a row without a response, or one longer than `max_tokens` in all.
    """
    ending = _ending(base)
    examples = []
    for line, row in _rows(file):
        if row.get("kept") is False:
            continue
        *context, last = _messages(row, f"{file}: line {line}")
        prompt = base.tokenizer(render(base.tokenizer, context), add_special_tokens=False)["input_ids"]
        response = base.tokenizer(last["content"], add_special_tokens=False)["input_ids"]
        if len(prompt) + len(response) + len(ending) > max_tokens:
            raise UserError(f"{file}: line {line}: longer than --max-tokens {max_tokens}; shorten it or raise the limit")
        examples.append(Example(tuple(prompt), (*response, *ending)))
    if not examples:
        raise UserError(f"{file}: no pair to train on; every row is empty or has kept: false")
    return examples


def _ending(base: Base) -> tuple[int, ...]:
    """The template's closing of an assistant turn, up to and including the first token that stops generation."""
    ids = base.tokenizer(closing(base.tokenizer), add_special_tokens=False)["input_ids"]
    stops = stop_ids(base)
    first = next((number for number, token in enumerate(ids) if token in stops), None)
    return (stops[-1],) if first is None else tuple(ids[: first + 1])


def _messages(row: dict, where: str) -> list[Message]:
    """The conversation of a row, which ends with the assistant's response."""
    if "messages" in row:
        messages = row["messages"]
        well_formed = isinstance(messages, list) and all(
            isinstance(m, dict) and m.get("role") in ("system", "user", "assistant") and isinstance(m.get("content"), str)
            for m in messages
        )
        if not well_formed:
            raise UserError(f"{where}: messages: each needs a role (system, user, assistant) and a text content")
    elif isinstance(row.get("prompt"), str) and isinstance(row.get("completion"), str):
        messages = [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]
    else:
        raise UserError(f"{where}: has neither messages nor prompt and completion; add one of them")
    if len(messages) < 2 or messages[-1]["role"] != "assistant":
        raise UserError(f"{where}: messages: the last must be the assistant's, after a user's; add the response")
    if not messages[-1]["content"].strip():
        raise UserError(f"{where}: the response is empty; fill it in or remove the line")
    return messages


def _rows(file: Path) -> Iterator[tuple[int, dict]]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read ({error}); give a JSONL file")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{file}: line {number}: is not JSON ({error}); write one object a line")
        if not isinstance(row, dict):
            raise UserError(f"{file}: line {number}: is not a JSON object; write one object a line")
        yield number, row
