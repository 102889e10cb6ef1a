"""Conversations as token ids, for chat templates with and without a system role."""

from collections.abc import Sequence

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

Message = dict[str, str]


def without_system(messages: Sequence[Message]) -> list[Message]:
    """The same conversation with the system text at the head of the first user turn."""
    system, first, *rest = messages
    return [{"role": "user", "content": f"{system['content']}\n\n{first['content']}"}, *rest]


def render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], open_assistant: bool = True) -> str:
    """The conversation's text; `open_assistant` appends the assistant's opening tag.

    Where the template refuses the system text, or leaves it out without a word, the first user turn begins with it.
    """
    system = messages[0]["content"].strip() if messages[0]["role"] == "system" else None
    try:
        text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=open_assistant)
    except TemplateError:
        if system is None:
            raise
        text = None
    if text is None or system is not None and system not in text:
        return render(tokenizer, without_system(messages), open_assistant)
    return text


def prompt_ids(tokenizer: PreTrainedTokenizerBase, system: str | None, user: str) -> list[int]:
    """Ids of `system` and `user` up to and including the assistant's opening tag."""
    messages = [{"role": "system", "content": system}] if system else []
    text = render(tokenizer, [*messages, {"role": "user", "content": user}])
    return tokenizer(text, add_special_tokens=False)["input_ids"]
