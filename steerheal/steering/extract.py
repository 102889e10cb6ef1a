"""The vector between two personas: hidden states after a block at the last prompt token, over many contexts."""

from collections.abc import Sequence

import torch

from steerheal.errors import UserError
from steerheal.generation.context import context_of, overflow
from steerheal.steering import mean_diff, pca
from steerheal.students.base import Base, Plan
from steerheal.students.batching import batches, pad, sight_of
from steerheal.students.chat import prompt_ids
from steerheal.students.rows import GroupedAdapters, Student

METHODS = {"mean_diff": mean_diff.direction, "pca": pca.direction}
# Blocks 0.45 to 0.55 of the depth: a wider band compounds and collapses the model.
MIDDLE = (0.45, 0.55)


@torch.inference_mode()
def last_states(
    base: Base, student: Student, prompts: Sequence[Sequence[int]], blocks: Sequence[int]
) -> dict[int, torch.Tensor]:
    """Hidden states of each prompt's last token after each of `blocks`: block → [n, d], float32."""
    found = {block: [None] * len(prompts) for block in blocks}
    for group in batches([len(prompt) for prompt in prompts], base.device):
        ids = pad([prompts[place] for place in group], base.device)
        adapters = GroupedAdapters([student] * len(group), base.device) if student.adapter else None
        plan = Plan(adapters=adapters, capture=dict.fromkeys(blocks))
        base.hidden(ids, plan, sight_of(ids))
        for row, place in enumerate(group):
            for block in blocks:
                found[block][place] = plan.capture[block][row, len(prompts[place]) - 1].float()
    return {block: torch.stack(states) for block, states in found.items()}


def extract(
    base: Base,
    student: Student,
    positive: str,
    negative: str,
    contexts: Sequence[str],
    layers: Sequence[int] | None,
    method: str,
) -> dict[int, torch.Tensor]:
    """The vector: block → [d], float32 on the CPU.

    The persona is the system message, each context the user's; `layers` None means the model's middle blocks.
    Raises UserError for a block that the model does not have, or a prompt longer than its context.
    """
    blocks = tuple(layers) if layers is not None else base.depth_blocks(*MIDDLE)
    if max(blocks) >= len(base.blocks):
        raise UserError(f"layers: {base.name} has blocks 0 to {len(base.blocks) - 1}, not {max(blocks)}; name others")
    prompts = [[prompt_ids(base.tokenizer, persona, text) for text in contexts] for persona in (positive, negative)]
    if problem := overflow("contexts", max(map(len, sum(prompts, []))), None, 0, context_of(base)):
        raise UserError(f"contexts: {'; '.join(problem)}")
    sides = [last_states(base, student, side, blocks) for side in prompts]
    return {block: METHODS[method](sides[0][block], sides[1][block]).cpu() for block in blocks}
