"""What a trial reads besides its settings, by value: contexts, prompts, vignettes, instrument, canary suite, pairs,
beliefs."""

from dataclasses import dataclass
from typing import Any

from steerheal.beliefs import Belief, check_asked, load_beliefs
from steerheal.config.instil import EXPERIMENT, beliefs_asked
from steerheal.config.space import Space
from steerheal.conversations import read_conversations
from steerheal.data_files import (
    choose_vignettes,
    load_contexts,
    load_instrument,
    load_prompts,
    load_vignettes,
    locate,
)
from steerheal.evaluation.canary_suite import load_suite
from steerheal.jobs import Conversation, Prompt, Vignette
from steerheal.pair_sets import check_pairs

# The experiments that train on a file of pairs.
PAIRED = ("voice",)


@dataclass(frozen=True)
class TrialData:
    """The same for all trials of a space; `pairs` and `beliefs` where it trains on them."""

    contexts: tuple[str, ...]
    prompts: tuple[Prompt, ...]
    vignettes: tuple[Vignette, ...]
    instrument: Any
    suite: Any
    pairs: tuple[Conversation, ...] = ()
    beliefs: tuple[Belief, ...] = ()


def load_data(space: Space) -> TrialData:
    """Read every file that the space names. Raises UserError naming the file, the line and the remedy."""
    paths = space.data
    vignettes = load_vignettes(paths.vignettes)
    pairs = read_conversations(locate("pairs", paths.pairs)) if space.experiment in PAIRED else ()
    data = TrialData(
        load_contexts(paths.contexts),
        load_prompts(paths.prompts),
        choose_vignettes(vignettes, space.settings.evaluate.vignettes),
        load_instrument(paths.instrument),
        load_suite(locate("canaries", paths.canaries)),
        pairs,
        _beliefs(space),
    )
    if pairs:
        check_pairs(space, pairs, data.suite)
    return data


def _beliefs(space: Space) -> tuple[Belief, ...]:
    """Those of the file that some trial may instil."""
    if space.experiment != EXPERIMENT:
        return ()
    beliefs = load_beliefs(locate("beliefs", space.data.beliefs))
    check_asked(beliefs, space)
    return tuple(belief for belief in beliefs if belief.name in beliefs_asked(space))
