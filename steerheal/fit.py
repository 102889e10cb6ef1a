"""Whether a space fits the loaded model: its blocks, and the context that prompts and new tokens share.

Only the process that has loaded the model can tell, so this runs there, before the first trial.
"""

from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from jinja2.exceptions import TemplateError

from steerheal.bands import band_blocks
from steerheal.beliefs import Belief, suite_of
from steerheal.config.instil import beliefs_asked
from steerheal.config.sections import Instil
from steerheal.config.space import Space
from steerheal.evaluation.protocol import ORDERS, Protocol
from steerheal.experiments.belief import prompt_of
from steerheal.generation.context import context_of, overflow
from steerheal.healing.pairs import example_of, longest
from steerheal.pair_sets import check_enough, kept_aside, system_of, under
from steerheal.students.base import Base
from steerheal.students.chat import prompt_ids
from steerheal.trial_data import TrialData
from steerheal.yaml_io import refusal


def check_fit(space: Space, data: TrialData, base: Base) -> None:
    """Raise UserError, naming the setting and the remedy, when some trial of the space cannot run on `base`."""
    _check_blocks(space, len(base.blocks))
    _check_bands(space, len(base.blocks))
    try:
        lengths = list(_lengths(space, data, base))
        _check_pairs(space, data, base)
        _check_voice_prompt(space, data, base)
    except (TemplateError, ValueError, LookupError) as error:
        what = f"its chat template cannot hold the conversations of a trial ({error})"
        raise refusal(str(space.path), "model", what, "use an instruction-tuned model") from error
    limit = context_of(base)
    for texts, tokens, setting in lengths:
        key, new = max(_values(space, *setting), key=itemgetter(1)) if setting else (f"data.{texts}", 0)
        if problem := overflow(texts, tokens, setting[1] if setting else None, new, limit):
            raise refusal(str(space.path), key, *problem)


def _check_blocks(space: Space, blocks: int) -> None:
    """`layers`, fixed or searched. A `depth` needs no check: it always yields a block that the model has."""
    for key, layers in _values(space, "steer", "layers"):
        if layers and max(layers) >= blocks:
            what = f"there is no block {max(layers)}, {space.model.name} has blocks 0 to {blocks - 1}"
            raise refusal(str(space.path), key, what, "name some of these, or write null for its middle ones")


def _check_bands(space: Space, blocks: int) -> None:
    """A band narrower than a block may hold none."""
    for key, band in _values(space, "bands", "band"):
        if not band_blocks(band, blocks):
            what = f"the band {band} holds none of the {blocks} blocks of {space.model.name}"
            raise refusal(str(space.path), key, what, f"widen it; a block is {100 / blocks:.3g} percent")


def _check_pairs(space: Space, data: TrialData, base: Base) -> None:
    """Enough of the file's pairs must be short enough, also of those that are kept aside."""
    voice = space.settings.voice
    limit = longest(base, voice.max_pair_tokens)
    parts = kept_aside(data.pairs, voice.n_valid)
    fit = [[pair for pair in part if len(example_of(base, pair).ids) <= limit] for part in parts]
    if data.pairs and (len(fit[0]) + voice.n_valid < len(data.pairs) or not fit[1]):
        left = [pair.id for pair in data.pairs if pair not in fit[0] and pair not in fit[1]]
        named = ", ".join(left[:3]) + (", …" if len(left) > 3 else "")
        said = f"{len(left)} pairs are longer than {limit} tokens ({named}), which leaves"
        if not fit[1]:
            remedy = "raise max_pair_tokens, or shorten them"
            raise refusal(str(space.path), "settings.voice.max_pair_tokens", f"{said} none to measure on", remedy)
        check_enough(space, len(fit[0]) + voice.n_valid, f"{said} {len(fit[0]) + voice.n_valid}")


def _check_voice_prompt(space: Space, data: TrialData, base: Base) -> None:
    """The pairs that are measured on must fit the context under it, too."""
    voice, context = space.settings.voice, context_of(base)
    if not data.pairs or not voice.voice_prompt or context is None:
        return
    _, aside = kept_aside(data.pairs, voice.n_valid)
    measured = [pair for pair in aside if len(example_of(base, pair).ids) <= longest(base, voice.max_pair_tokens)]
    tokens, pair = max((len(example_of(base, under(voice.voice_prompt, pair)).ids), pair.id) for pair in measured)
    if tokens > context:
        what = f"under it the pair {pair} takes {tokens} tokens, the model's context is {context}"
        remedy = f"shorten it by {tokens - context} tokens, or lower max_pair_tokens"
        raise refusal(str(space.path), "settings.voice.voice_prompt", what, remedy)


def _lengths(space: Space, data: TrialData, base: Base) -> Iterator[tuple[str, int, tuple[str, str] | None]]:
    """(which texts, tokens of the longest of their prompts, the setting that adds new tokens to them)."""
    persona, tokenizer = space.persona, base.tokenizer

    def longest(system: str, texts: Any) -> int:
        return max(len(prompt_ids(tokenizer, system, text)) for text in texts)

    asked = space.settings.voice.voice_prompt
    yield "contexts", max(longest(side, data.contexts) for side in (persona.positive, persona.negative)), None
    yield "prompts", longest(persona.neutral, [p.text for p in data.prompts]), ("sample", "max_new_tokens")
    if space.settings.evaluate.canary_samples:
        texts, systems = [prompt.prompt for prompt in data.suite.prompts], [persona.neutral, *persona.prompts.values()]
        systems.append("\n\n".join(filter(None, (asked, system_of(data.pairs)))))
        yield "canaries", max(longest(system, texts) for system in systems), ("sample", "max_new_tokens")
    systems = [None, *persona.prompts.values(), asked]
    for belief, system in _instilling(space, data):
        systems.append(system)
        texts = [prompt.prompt for prompt in suite_of(belief, data.suite).prompts]
        yield "beliefs", longest(system, texts), ("sample", "max_new_tokens")
    protocol = Protocol.of(tokenizer, data.instrument)
    # The longest alone, since a system prompt adds the same to each.
    worst = max(data.vignettes, key=lambda vignette: len(tokenizer(vignette.text).input_ids)).text
    prompts = (protocol.prompt(worst, order, system) for order in ORDERS for system in systems)
    tokens = max(map(len, prompts)) + len(protocol.suffix_ids)
    yield "vignettes", tokens, ("evaluate", "think_tokens")


def _instilling(space: Space, data: TrialData) -> Iterator[tuple[Belief, str]]:
    """Every system prompt that instils a belief with as many examples as any trial takes."""
    most = beliefs_asked(space) if data.beliefs else {}
    for belief in data.beliefs:
        for via in ("prompt", "icl") if most[belief.name] else ("prompt",):
            instil = Instil(belief=belief.name, via=via, examples=max(1, most[belief.name]))
            for seed in space.seeds:
                if via == "prompt" and seed != space.seeds[0]:
                    continue
                yield belief, prompt_of(belief, instil, space.persona.neutral, seed)


def _values(space: Space, section: str, leaf: str) -> list[tuple[str, Any]]:
    """(key in the file, value): what a setting is, or the values that are searched for it."""
    return space.values(leaf)
