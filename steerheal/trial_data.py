"""What a trial reads besides its settings, by value: contexts, prompts, vignettes, instrument, canary suite,
pairs."""

from dataclasses import dataclass
from typing import Any

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
from steerheal.pair_sets import check_pairs
from steerheal.jobs import Conversation, Prompt, Vignette

# The experiments that train on a file of pairs.
PAIRED = ("voice",)


@dataclass(frozen=True)
class TrialData:
    """The same for all trials of a space."""

    contexts: tuple[str, ...]
    prompts: tuple[Prompt, ...]
    vignettes: tuple[Vignette, ...]
    instrument: Any
    suite: Any
    pairs: tuple[Conversation, ...] = ()


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
    )
    if pairs:
        check_pairs(space, pairs, data.suite)
    return data
