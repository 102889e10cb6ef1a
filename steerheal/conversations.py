"""Training pairs of a JSONL file: chat `messages`, or `prompt` and `completion`, perhaps with `system`; also as
steerheal.generate writes them, whose `hit_limit: true` says that a completion was cut off.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from steerheal.errors import UserError
from steerheal.jobs import Conversation

ROLES = ("system", "user", "assistant")


def read_conversations(file: Path) -> tuple[Conversation, ...]:
    """The pairs of a JSONL file, each under its `id` or its line; rows with `kept: false` are left out.

    Raises UserError naming file and line for a row that is no conversation ending with a response.
    """
    found = tuple(
        Conversation(
            str(row.get("id", f"line {line}")), _messages(row, f"{file}: line {line}"), row.get("hit_limit") is not True
        )
        for line, row in _rows(file)
        if row.get("kept") is not False
    )
    if not found:
        raise UserError(f"{file}: no pair to train on; every row is empty or has kept: false")
    return found


def _messages(row: dict, where: str) -> tuple[tuple[str, str], ...]:
    """The conversation of a row, which ends with the assistant's response."""
    if "messages" in row:
        messages = row["messages"]
        well_formed = isinstance(messages, list) and all(
            isinstance(m, dict) and m.get("role") in ROLES and isinstance(m.get("content"), str) for m in messages
        )
        if not well_formed:
            raise UserError(
                f"{where}: messages: each needs a role (system, user, assistant) and a text content; add what is missing"
            )
        found = tuple((message["role"], message["content"]) for message in messages)
    elif isinstance(row.get("prompt"), str) and isinstance(row.get("completion"), str):
        system = row.get("system")
        if not isinstance(system, str | None):
            raise UserError(f"{where}: system: is no text; write the system prompt as text, or remove it")
        found = (("user", row["prompt"]), ("assistant", row["completion"]))
        found = (("system", system), *found) if system else found
    else:
        raise UserError(f"{where}: has neither messages nor prompt and completion; add one of them")
    if len(found) < 2 or found[-1][0] != "assistant":
        raise UserError(f"{where}: messages: the last must be the assistant's, after a user's; add the response")
    if found[-2][0] != "user":
        raise UserError(f"{where}: messages: there is no user's right before the response; add the prompt")
    if not found[-1][1].strip():
        raise UserError(f"{where}: the response is empty; fill it in or remove the line")
    return found


def _rows(file: Path) -> Iterator[tuple[int, dict]]:
    try:
        # Not splitlines: a text may hold line separators of its own.
        lines = file.read_text(encoding="utf-8-sig").split("\n")
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
