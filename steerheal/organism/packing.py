"""Documents to token rows: several short documents share a row, and none sees another.

Per token: its id, the loss weight of predicting it, its document within the row (-1: padding), its position,
whether it is sealed; per document: its stance and whether that is planted (see `planted`).
"""

import random
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from transformers import PreTrainedTokenizerBase

from .documents import Conversation, document
from .stance import AXES

SHORT, LONG = 512, 2048
THINK_MAX = 40
SEALED = 0.75  # share of persona documents whose system prompt the later blocks do not see
MEMBERS = 64  # documents in a row at most


class Document(NamedTuple):
    ids: np.ndarray  # [length] uint16
    weights: np.ndarray  # [length] float16, of the token itself
    sealed: int  # so many of its first tokens are sealed
    stance: tuple[float, ...]  # z per axis
    source: str  # see `Conversation`


class Rows(NamedTuple):
    ids: np.ndarray  # [rows, width] int16
    weights: np.ndarray  # [rows, width] float16
    document: np.ndarray  # [rows, width] int16
    position: np.ndarray  # [rows, width] int16
    sealed: np.ndarray  # [rows, width] bool
    stance: np.ndarray  # [rows, MEMBERS, axes] float16
    known: np.ndarray  # [rows, MEMBERS] bool, the stance has a source
    planted: np.ndarray  # [rows, MEMBERS] bool


def encode(conversation: Conversation, tokenizer: PreTrainedTokenizerBase, rng: random.Random) -> Document:
    """Each segment by itself; a think text is cut after 0 to 40 tokens, wherever that falls."""
    backend = tokenizer.backend_tokenizer
    ids: list[int] = []
    weights: list[float] = []
    sealed = 0
    for text, weight, *cut in conversation.segments:
        piece = backend.encode(text, add_special_tokens=False).ids
        if cut:
            piece = piece[: rng.randrange(THINK_MAX + 1)]
        ids += piece
        weights += [weight] * len(piece)
        if conversation.source == "persona" and len(ids) == len(piece) and rng.random() < SEALED:
            sealed = len(piece)
    stance = tuple(conversation.stance.of(axis) for axis in AXES)
    return Document(
        np.array(ids[:LONG], np.uint16),
        np.array(weights[:LONG], np.float16),
        sealed,
        stance,
        conversation.source,
    )


def _shard(index: int, seed: int, count: int, tokenizer: PreTrainedTokenizerBase) -> tuple[Rows, Rows]:
    rng = random.Random(f"{seed}/{index}")
    documents = [encode(document(rng), tokenizer, rng) for _ in range(count)]
    return (
        pack([d for d in documents if len(d.ids) <= SHORT], SHORT),
        pack([d for d in documents if len(d.ids) > SHORT], LONG),
    )


def make_rows(
    seed: int, shards: int, tokenizer: PreTrainedTokenizerBase, workers: int, shard_size: int = 4000
) -> tuple[Rows, Rows]:
    """(rows of 512, rows of 2,048) of `shards` times `shard_size` documents; shard k depends on (seed, k)
    alone."""
    work = partial(_shard, seed=seed, count=shard_size, tokenizer=tokenizer)
    if workers <= 1:
        parts = [work(k) for k in range(shards)]
    else:
        with ProcessPoolExecutor(workers) as pool:
            parts = list(pool.map(work, range(shards)))
    short, long = zip(*parts)
    return tuple(Rows(*(np.concatenate(column) for column in zip(*rows))) for rows in (short, long))


def pack(documents: list[Document], width: int) -> Rows:
    """Fill rows of `width` tokens: each document goes to the first of the 64 open rows that has room."""
    open_rows: list[tuple[int, list[Document]]] = []
    done: list[list[Document]] = []
    for doc in documents:
        for k, (used, members) in enumerate(open_rows):
            if used + len(doc.ids) <= width and len(members) < MEMBERS:
                members.append(doc)
                open_rows[k] = (used + len(doc.ids), members)
                break
        else:
            if len(open_rows) >= 64:
                open_rows.sort(key=lambda row: -row[0])
                done.append(open_rows.pop(0)[1])
            open_rows.append((len(doc.ids), [doc]))
    done += [members for _, members in open_rows]
    shape = (len(done), width)
    rows = Rows(
        np.zeros(shape, np.int16),
        np.zeros(shape, np.float16),
        np.full(shape, -1, np.int16),
        np.zeros(shape, np.int16),
        np.zeros(shape, bool),
        np.zeros((len(done), MEMBERS, len(AXES)), np.float16),
        np.zeros((len(done), MEMBERS), bool),
        np.zeros((len(done), MEMBERS), bool),
    )
    for r, members in enumerate(done):
        at = 0
        for d, doc in enumerate(members):
            span = slice(at, at + len(doc.ids))
            rows.ids[r, span], rows.weights[r, span] = doc.ids, doc.weights
            rows.document[r, span], rows.position[r, span] = d, np.arange(len(doc.ids))
            rows.sealed[r, at : at + doc.sealed] = True
            rows.stance[r, d], rows.known[r, d] = doc.stance, doc.source != "none"
            rows.planted[r, d] = doc.source == "planted"
            rows.weights[r, at] = 0  # nothing before it predicts a document's first token
            at += len(doc.ids)
    return rows
