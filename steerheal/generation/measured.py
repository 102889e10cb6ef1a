"""What the filter knows of a completion, and the limits it judges by: plain data that every gate shares."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from steerheal.generation.text import spoken_lower, without_indentation, words


@dataclass(frozen=True)
class Measured:
    """A completion with its scores under base.

    text: the decoded completion. prompt: the user's turn it answers.
    logprobs [n]: log-probability under base (nats) of each completion token, given prompt and prefix.
    entropies [n] or None: entropy (nats) of base's prediction at each of those tokens.
    hit_limit: generation stopped at the token limit, not at an end token.
    """

    text: str
    logprobs: np.ndarray
    entropies: np.ndarray | None = None
    hit_limit: bool = False
    prompt: str = ""

    @property
    def scorable(self) -> bool:
        """Are there scores under base, all of them finite? One that is not spoils the completion for
        training.
        """
        scores = [self.logprobs] if self.entropies is None else [self.logprobs, self.entropies]
        return len(self.logprobs) > 0 and all(bool(np.isfinite(values).all()) for values in scores)

    @cached_property
    def words(self) -> list[str]:
        """The words as written."""
        return words(self.text)

    @cached_property
    def folded(self) -> dict[str, list[str] | str]:
        """The text as sequences of units, case and indentation apart: {"word": [...], "character": "..."}."""
        text = without_indentation(self.text.casefold())
        return {"word": words(text), "character": text}

    @cached_property
    def own_voice(self) -> str:
        """What the completion says in its own voice, for the patterns of gates 3 and 4."""
        return spoken_lower(self.text)


@dataclass(frozen=True)
class Thresholds:
    """Limits of the gates. The two first are the published ones; the rest belong to gate 5, `degenerate`. A space
    sets those of `config.sections.Filter`.

    max_perplexity: under base, over the last quarter.
    max_repetition: largest share of any one n-gram.
    max_loop: share of the text that lies in back-to-back copies of itself.
    min_variety: fewest distinct words in any window of w words, per w^0.85.
    max_odd_forms: share of words that no writer would spell so.
    max_script_switches: changes of script per word.
    max_stutter: words that only repeat the word before, per word.
    max_symbols: share of visible characters that are neither letters nor digits.
    max_blunders: share of tokens that base would never have chosen, the first one apart.
    """

    max_perplexity: float = 50.0
    max_repetition: float = 0.3
    max_loop: float = 0.2
    min_variety: float = 0.6
    max_odd_forms: float = 0.05
    max_script_switches: float = 0.2
    max_stutter: float = 0.1
    max_symbols: float = 0.5
    max_blunders: float = 0.015
