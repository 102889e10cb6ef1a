"""The model's context, which a prompt, its new tokens and what is read after them have to share.

Positions beyond it have never been trained: most models go on without an error, and write noise.
"""

from collections.abc import Sequence
from typing import Any

from steerheal.errors import UserError


def context_of(base: Any) -> int | None:
    """Positions that the model was made for; None where its configuration does not say."""
    return getattr(base.config, "max_position_embeddings", None)


def overflow(texts: str, tokens: int, setting: str | None, new: int, limit: int | None) -> tuple[str, str] | None:
    """(what, remedy) when `tokens` of the longest of `texts` and `new` ones, as `setting` says, exceed `limit`."""
    if limit is None or tokens + new <= limit:
        return None
    what = f"the longest of the {texts} takes {tokens} tokens"
    remedy = f"shorten the {texts}"
    if setting:
        what += f" and {setting} adds {new}"
        if tokens < limit:
            remedy = f"lower {setting} to {limit - tokens}, or {remedy}"
    return f"{what}, the model's context is {limit}", remedy


def check_context(base: Any, texts: str, requests: Sequence[Any], setting: str) -> None:
    """Raise UserError when a request (`request.Request`) needs more positions than the model has."""
    longest = max(requests, key=lambda request: request.length, default=None)
    if longest is None:
        return
    tokens = longest.length - longest.max_new_tokens
    if problem := overflow(texts, tokens, setting, longest.max_new_tokens, context_of(base)):
        raise UserError(f"{setting}: {'; '.join(problem)}")
