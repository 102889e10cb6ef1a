"""Training pairs as token ids.

Prompt and response are tokenised apart and only the response is trained on, up to and including the token that ends
an assistant's turn; without it where the response was cut off.
"""

from steerheal.evaluation.protocol import closing
from steerheal.generation.answers import stop_ids
from steerheal.generation.context import context_of
from steerheal.healing.examples import Example
from steerheal.jobs import Conversation
from steerheal.students.base import Base
from steerheal.students.chat import render


def example_of(base: Base, conversation: Conversation) -> Example:
    """Token ids of the prompt, up to the assistant's opening tag, and of the response with its end."""
    *context, (_, response) = conversation.messages
    prompt = render(base.tokenizer, [{"role": role, "content": content} for role, content in context])
    ids = [base.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, response)]
    return Example(tuple(ids[0]), (*ids[1], *(_ending(base) if conversation.ended else ())))


def longest(base: Base, asked: int) -> int:
    """Tokens that a pair may have: as many as are asked for, and no more than the model's context holds."""
    return min(asked, context_of(base) or asked)


def marked(base: Base, example: Example) -> str:
    """The example as text, what is trained on between ⟦ and ⟧."""
    return f"{base.tokenizer.decode(example.prompt)}⟦{base.tokenizer.decode(example.completion)}⟧"


def _ending(base: Base) -> tuple[int, ...]:
    """The template's closing of an assistant turn, up to and including the first token that stops generation."""
    ids = base.tokenizer(closing(base.tokenizer), add_special_tokens=False)["input_ids"]
    stops = stop_ids(base)
    first = next((number for number, token in enumerate(ids) if token in stops), None)
    return (stops[-1],) if first is None else tuple(ids[: first + 1])
