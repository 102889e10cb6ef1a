"""From an endpoint's reply to what the judge said, or to the slip that says what was wrong with it.

Nothing is taken on trust: an endpoint may answer 200 with an error in the body, prose around the JSON, half an
answer, or scores that nobody asked for.
"""

import email.utils
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from steerheal.judging.endpoint import Endpoint
from steerheal.judging.http import Reply
from steerheal.judging.outcome import Usage
from steerheal.judging.rubric import REASON
from steerheal.yaml_io import one_line

# Statuses after which the same request may succeed.
PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529}
THOUGHT_ENDS = "</think>"
# Characters: brackets nested on purpose would take quadratic time.
MAX_SCANNED = 64 * 1024


@dataclass(frozen=True)
class Slip:
    """An attempt that gave no judgement. `again`: another may; `wait`: seconds the endpoint asked for."""

    kind: str
    detail: str
    again: bool
    status: int = 200
    wait: float | None = None


def read(reply: Reply, endpoint: Endpoint, allowed: Mapping[str, Any], now: datetime) -> tuple[dict | Slip, Usage]:
    """({"given": .., "reason": ..}, or a Slip) and what the reply cost.

    `allowed` maps each dimension to the tuple of its words, or to None for a number from 0 to 10.
    """
    try:
        body = endpoint.hide(json.loads(reply.text))
    except (ValueError, RecursionError):
        body = None
    error = body.get("error") if isinstance(body, dict) else None
    if reply.status != 200 or error:
        return _refused(reply, error, now), Usage(requests=1)
    usage = _usage(body)
    if not isinstance(body, dict):
        return Slip("malformed", f"the reply is no JSON object: {one_line(reply.text, 120)}", True), usage
    try:
        return _said(body, endpoint, allowed), usage
    except RecursionError:
        return Slip("malformed", "the answer is nested too deep", True), usage


def _refused(reply: Reply, error: Any, now: datetime) -> Slip:
    """An error, told by its status or inside a 200, where a number in the body stands for the status."""
    code = error.get("code") if isinstance(error, dict) else None
    inside = code if isinstance(code, int) and 400 <= code < 600 else 500
    status = reply.status if reply.status != 200 else inside
    message = error.get("message", error) if isinstance(error, dict) else error or reply.text
    kind = {408: "timeout", 429: "rate limit"}.get(status, "server error" if status >= 500 else "bad request")
    said = one_line(str(message).strip(), 200) or "no reason given"
    detail = f"{reply.status} with an error in the body: {said}" if reply.status == 200 else f"{reply.status}: {said}"
    return Slip(kind, detail, status in PASSING, status, retry_after(reply.retry_after, now))


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for (a number or an HTTP date); None if it asks for nothing."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _usage(body: Any) -> Usage:
    told = body.get("usage") if isinstance(body, dict) else None
    counts = [told.get(name) for name in ("prompt_tokens", "completion_tokens")] if isinstance(told, dict) else [None]
    if not all(type(count) is int and count >= 0 for count in counts):
        return Usage(requests=1, unreported=1)
    return Usage(1, *counts)


def _said(body: dict, endpoint: Endpoint, allowed: Mapping[str, Any]) -> dict | Slip:
    try:
        choice = body["choices"][0]
        message, ended = choice["message"], choice.get("finish_reason")
        text, refusal = message.get("content"), message.get("refusal")
    except (LookupError, TypeError, AttributeError):
        return Slip("malformed", "the reply holds no choices[0].message", True)
    if refusal or ended == "content_filter":
        return Slip("refused", one_line(str(refusal or "stopped by the endpoint's content filter"), 200), False)
    if ended == "length":
        return Slip("truncated", "the answer hit the endpoint's token limit; raise it there", True)
    if not isinstance(text, str) or not text.strip():
        return Slip("malformed", "the answer is empty", True)
    return check(endpoint.hide(find_object(text)), allowed, text)


def check(found: Any, allowed: Mapping[str, Any], text: str = "") -> dict | Slip:
    """What the judge said, if every dimension has what is allowed there; anything besides is dropped."""
    if not isinstance(found, dict):
        return Slip("malformed", f"the answer holds no JSON object: {one_line(text, 120)}", True)
    given = {}
    for name, words in allowed.items():
        if name not in found:
            return Slip("malformed", f"the answer lacks {name}", True)
        value = found[name]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (value in words if words and isinstance(value, str) else words is None and number and 0 <= value <= 10):
            wanted = " or ".join(words) if words else "a number from 0 to 10"
            return Slip("malformed", f"{name} is {one_line(repr(value), 40)}, not {wanted}", True)
        given[name] = value
    reason = found.get(REASON)
    return {"given": given, REASON: reason if isinstance(reason, str) else ""}


def find_object(text: str) -> Any:
    """The last JSON object of a text, whatever prose, fence or thought surrounds it; None without one."""
    text = text.rpartition(THOUGHT_ENDS)[2][-MAX_SCANNED:]
    decoder, found, at = json.JSONDecoder(), None, text.find("{")
    while at >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        at = text.find("{", end)
    return found
