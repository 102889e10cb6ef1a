"""A judge: a client with a memory. Equal questions are asked once, within a run and over runs."""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from steerheal.judging.cache import Cache, cache_key
from steerheal.judging.client import Client, Question
from steerheal.judging.outcome import Failure, Judgement
from steerheal.judging.pool import run_all

Outcome = Judgement | Failure


@dataclass(frozen=True)
class Pass:
    """A question, asked for the `number`th time (from 0)."""

    question: Question
    number: int


@dataclass
class Judge:
    """`concurrency`: requests under way at once. `spent` grows with every call of `ask`."""

    client: Client
    cache: Cache
    concurrency: int = 8
    stop: threading.Event = field(default_factory=threading.Event)
    spent: Counter = field(default_factory=Counter, init=False)

    def ask(self, passes: Sequence[Pass], on_done: Callable[[], None] = lambda: None) -> list[Outcome]:
        """Outcomes in the order of `passes`, with a call of `on_done` for each.

        Every judgement is on disk as soon as it is there.

        Raises UserError when no request can succeed, and KeyboardInterrupt once those under way are kept.
        """
        keys = [cache_key(self.client.endpoint, asked.question, asked.number) for asked in passes]
        distinct = dict(zip(keys, passes, strict=True))
        known = {key: self.cache.get(key, asked.question.allowed) for key, asked in distinct.items()}
        outcomes: dict[str, Outcome] = {key: found for key, found in known.items() if found is not None}
        for _ in outcomes:
            on_done()
        missing = [key for key in distinct if key not in outcomes]

        def ask_one(key: str) -> Outcome:
            outcome = self.client.ask(distinct[key].question, self.stop.wait)
            if isinstance(outcome, Judgement):
                self.cache.put(key, self.client.endpoint, outcome)
            return outcome

        asked = run_all(ask_one, missing, self.concurrency, self.stop, on_done, _tell_waiting)
        outcomes |= dict(zip(missing, asked, strict=True))
        self._count(outcomes.values())
        for _ in range(len(passes) - len(distinct)):
            on_done()
        return [outcomes[key] for key in keys]

    def _count(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self.spent["judgements"] += 1
            if isinstance(outcome, Failure):
                self.spent["failed"] += 1
                self.spent[f"failed: {outcome.kind}"] += 1
            elif outcome.cached:
                self.spent["cached"] += 1
                self.spent["tokens_cached"] += outcome.usage.prompt_tokens + outcome.usage.completion_tokens
            if isinstance(outcome, Failure) or not outcome.cached:
                self.spent.update(vars(outcome.usage))

    def cost(self) -> dict:
        """What this run sent and got, as plain JSON data; equal questions count once.

        Tokens are as the endpoint reported them; `unreported` replies told none, and an attempt that timed out
        may have cost something that nobody reported.
        """
        failures = {name.removeprefix("failed: "): n for name, n in self.spent.items() if name.startswith("failed: ")}
        counts = {name: self.spent[name] for name in ("judgements", "cached", "failed", "requests")}
        tokens = {name: self.spent[name] for name in ("prompt_tokens", "completion_tokens", "unreported")}
        return counts | {"failures": failures} | tokens | {"tokens_cached": self.spent["tokens_cached"]}


def _tell_waiting() -> None:
    print("stopping: waiting for the requests under way (Ctrl-C again abandons them)", file=sys.stderr, flush=True)
