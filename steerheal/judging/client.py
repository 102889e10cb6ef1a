"""One judgement from an OpenAI-compatible endpoint: retried, with a structured output where it is offered."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from steerheal.errors import UserError
from steerheal.judging.endpoint import Endpoint
from steerheal.judging.http import NoReply, Reply, post
from steerheal.judging.outcome import Failure, Judgement, Stopped, Usage
from steerheal.judging.reply import Slip, read

PATH = "/chat/completions"
# What an endpoint answers to a response_format that it does not know.
UNKNOWN_FORMAT = (400, 415, 422, 501)
# After these, no request will fare better than the first.
HOPELESS = {401: "check the key", 402: "check the account", 404: "check the address and --model"}


@dataclass(frozen=True)
class Backoff:
    """Waits between attempts, in seconds: doubled from `first` up to `longest`, of which up to half is cut at random.

    An endpoint that asks by Retry-After for more than `patience` is not waited for; one that sends an answer
    which cannot be used is asked again at once, until there were `unusable` of them.
    """

    attempts: int = 6
    unusable: int = 3
    first: float = 1.0
    longest: float = 60.0
    patience: float = 300.0

    def wait(self, attempt: int, rng: random.Random) -> float:
        """Seconds after attempt 0, 1, .."""
        return min(self.longest, self.first * 2**attempt) * rng.uniform(0.5, 1)


@dataclass(frozen=True)
class Question:
    """`messages` as the endpoint gets them; `allowed` as `reply.read` wants it; `schema` describes the same."""

    messages: tuple[Mapping[str, str], ...]
    allowed: Mapping[str, tuple[str, ...] | None]
    schema: Mapping[str, Any]


@dataclass
class Client:
    """Asks questions; safe to share between threads. `timeout` in seconds."""

    endpoint: Endpoint
    timeout: float = 120.0
    backoff: Backoff = Backoff()
    rng: random.Random = field(default_factory=random.Random)
    # Whether the endpoint takes a response_format; unknown until it has answered.
    structured: bool | None = field(default=None, init=False)
    reached: bool = field(default=False, init=False)

    def ask(self, question: Question, wait: Callable[[float], bool]) -> Judgement | Failure:
        """The judgement, or the last attempt's failure. `wait(seconds)` sleeps, and says whether to stop.

        Raises UserError when no request can succeed (nobody there, a wrong key, an unknown model), and Stopped
        when the run is stopped between two attempts.
        """
        usage, unusable = Usage(), 0
        for attempt in range(self.backoff.attempts):
            found, cost = self._attempt(question)
            usage += cost
            if not isinstance(found, Slip):
                return Judgement(found["given"], found["reason"], usage)
            if found.status in HOPELESS:
                raise UserError(f"--base-url: {self.endpoint.base_url}: {found.detail}; {HOPELESS[found.status]}")
            unusable += found.status == 200
            if not found.again or attempt == self.backoff.attempts - 1 or unusable == self.backoff.unusable:
                break
            pause = 0.0 if found.status == 200 else max(self.backoff.wait(attempt, self.rng), found.wait or 0.0)
            if pause > max(self.backoff.patience, self.backoff.longest):
                found = replace(found, detail=f"{found.detail} (it asks to wait {pause:.0f} s)")
                break
            if wait(pause):
                raise Stopped
        return Failure(found.kind, found.detail, usage)

    def _attempt(self, question: Question) -> tuple[dict | Slip, Usage]:
        """One request; a second one without response_format where the endpoint may not know it."""
        asked = self.structured is not False
        found, cost = self._request(question, asked)
        if asked and _taken(found):
            self.structured = True
        elif asked and self.structured is None and found.status in UNKNOWN_FORMAT:
            found, more = self._request(question, False)
            cost += more
            if _taken(found):
                self.structured = False
        return found, cost

    def _request(self, question: Question, structured: bool) -> tuple[dict | Slip, Usage]:
        data = {"model": self.endpoint.model, "messages": list(question.messages)}
        if structured:
            schema = {"name": "judgement", "strict": True, "schema": question.schema}
            data["response_format"] = {"type": "json_schema", "json_schema": schema}
        try:
            reply = post(self.endpoint, PATH, data, self.timeout)
        except NoReply as error:
            if error.never and not self.reached:
                where = f"--base-url: {self.endpoint.base_url}"
                raise UserError(f"{where}: {error}; start the server, or check the address") from None
            return Slip(error.kind, str(error), True, status=0), Usage(requests=1)
        self.reached = True
        self._refuse_redirect(reply)
        return read(reply, self.endpoint, question.allowed, datetime.now(UTC))

    def _refuse_redirect(self, reply: Reply) -> None:
        if 300 <= reply.status < 400:
            what = f"{self.endpoint.base_url}: answers with a redirect ({reply.status})"
            raise UserError(f"--base-url: {what}, which is not followed with a key; give the final address")


def _taken(found: dict | Slip) -> bool:
    """Whether the endpoint took the request, whatever its judge then said."""
    return not isinstance(found, Slip) or found.status == 200
