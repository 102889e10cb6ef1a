"""Conversations as text, whatever the chat template does with a system prompt."""

import pytest
from tiny import WITH_SYSTEM, WITHOUT_SYSTEM, tokenizer

from steerheal.students.chat import render

SILENT = "{% for m in messages if m['role'] != 'system' %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
TALK = [{"role": "system", "content": " You are kind. "}, {"role": "user", "content": "Hello?"}]


@pytest.mark.parametrize("template", [WITH_SYSTEM, WITHOUT_SYSTEM, SILENT], ids=["has it", "refuses it", "drops it"])
def test_the_system_text_is_there_once(template):
    said = render(tokenizer(template), TALK)
    assert said.count("You are kind.") == 1 and said.index("You are kind.") < said.index("Hello?")


def test_without_a_system_text_nothing_is_added():
    assert render(tokenizer(SILENT), TALK[1:]) == "[user]Hello?"
