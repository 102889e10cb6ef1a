"""Train the built-in model from scratch: `python -m steerheal.organism.train --out DIR --seed N --device
cuda`.

Corpus, tokenizer, order of the batches and initial weights follow from the seed. The loss is the mean over
tokens of weight * cross-entropy (prompt 0.2, answers 1, the forced choice's digit 4) plus that of the
stance's read-out (see `planted`), one pass over the corpus.
"""

import argparse
import json
import math
import os
import time
from pathlib import Path
from typing import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from transformers import GenerationConfig, PreTrainedModel

from .architecture import make_config, make_model
from .packing import Rows, make_rows
from .planted import READ_WEIGHT, Planted, hidden_states, read_loss
from .tokenizer import save, train_tokenizer

WARM_UP = 150
BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.02


def batches(short: Rows, long: Rows, tokens: int, seed: int) -> Iterator[Rows]:
    """Whole batches of `tokens` tokens, each of one width, in random order."""
    rng = np.random.default_rng(seed)
    plan = []
    for rows in (short, long):
        size = max(1, tokens // rows.ids.shape[1])
        order = rng.permutation(len(rows.ids))
        plan += [(rows, order[i : i + size]) for i in range(0, len(order) - size + 1, size)]
    for k in rng.permutation(len(plan)):
        rows, chosen = plan[k]
        yield Rows(*(column[chosen] for column in rows))


def batch_count(short: Rows, long: Rows, tokens: int) -> int:
    """How many batches `batches` yields."""
    return sum(len(rows.ids) // max(1, tokens // rows.ids.shape[1]) for rows in (short, long))


def loss_of(
    model: PreTrainedModel,
    planted: Planted,
    ids: torch.Tensor,
    weights: torch.Tensor,
    document: torch.Tensor,
    position: torch.Tensor,
    sealed: torch.Tensor,
    stance: torch.Tensor,
    known: torch.Tensor,
    pushed: torch.Tensor,
) -> torch.Tensor:
    """Weighted cross-entropy and read-out loss of a packed batch; the arguments are the columns of `Rows`."""
    width = ids.shape[1]
    causal = torch.ones(width, width, dtype=torch.bool, device=ids.device).tril()
    same = (document[:, None, :, None] == document[:, None, None, :]) & causal
    member = document.clamp(min=0)
    z = stance.gather(1, member[:, :, None].expand(-1, -1, stance.shape[2])) * (document >= 0)[:, :, None]
    hidden, source = hidden_states(
        model, planted, ids, same, position, sealed, z * pushed.gather(1, member)[:, :, None]
    )
    told = known.gather(1, member) & (document >= 0) & ~sealed
    logits = F.linear(hidden[:, :-1], model.lm_head.weight).float()
    loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    weight = weights[:, 1:].flatten()
    return (loss * weight).sum() / weight.sum() + READ_WEIGHT * read_loss(planted, source, z, told)


def rate(step: int, steps: int) -> float:
    """Share of the top learning rate: linear warm-up, then cosine to 2%."""
    warm_up = min(WARM_UP, steps // 5 + 1)
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def fit(model: PreTrainedModel, short: Rows, long: Rows, args: argparse.Namespace, log) -> None:
    """One pass over the rows."""
    device = torch.device(args.device)
    model.to(device).train()
    planted = Planted(model.config.hidden_size).to(device)
    parameters = [*model.parameters(), *planted.parameters()]
    steps = batch_count(short, long, args.batch_tokens)
    optimiser = torch.optim.AdamW(
        parameters, lr=args.lr, betas=BETAS, weight_decay=WEIGHT_DECAY, fused=device.type == "cuda"
    )
    step_loss = torch.compile(loss_of, dynamic=False) if args.compile else loss_of
    start, recent = time.time(), []
    for step, batch in enumerate(batches(short, long, args.batch_tokens, args.seed)):
        columns = [torch.from_numpy(column).to(device, non_blocking=True) for column in batch]
        columns = [
            c.long() if c.dtype == torch.int16 else c.float() if c.dtype == torch.float16 else c for c in columns
        ]
        for group in optimiser.param_groups:
            group["lr"] = args.lr * rate(step, steps)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = step_loss(model, planted, *columns)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        recent.append(loss.detach())
        if step % 200 == 199 or step == steps - 1:
            log(
                step=step + 1,
                of=steps,
                loss=round(torch.stack(recent).mean().item(), 4),
                seconds=round(time.time() - start, 1),
            )
            recent = []


def main() -> None:
    """Parse, generate, train, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shards", type=int, default=220, help="of 4,000 documents, 0.72 M tokens each")
    parser.add_argument("--shard-size", type=int, default=4000)
    parser.add_argument("--batch-tokens", type=int, default=32768)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    torch.set_float32_matmul_precision("high")

    def log(**fields) -> None:
        print(json.dumps(fields), flush=True)

    start = time.time()
    tokenizer = train_tokenizer(args.seed)
    short, long = make_rows(args.seed, args.shards, tokenizer, args.workers, args.shard_size)
    log(
        rows_512=len(short.ids),
        rows_2048=len(long.ids),
        tokens=int((short.document >= 0).sum() + (long.document >= 0).sum()),
        corpus_seconds=round(time.time() - start, 1),
    )
    model = make_model(make_config(tokenizer, len(tokenizer), args.width, args.blocks))
    log(parameters=sum(p.numel() for p in model.parameters()))
    fit(model, short, long, args, log)
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_p=0.95,
        top_k=64,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.to("cpu", torch.bfloat16).eval().save_pretrained(args.out)
    save(tokenizer, args.out)


if __name__ == "__main__":
    main()
