"""Adapters from strangers: refused in one line, and nothing in them is run."""

import json
import os
import pickle
import struct
import time
from functools import partial

import pytest
import torch
from safetensors.torch import save
from tiny import random_adapter

from steerheal.errors import UserError
from steerheal.students.adapter import PREFIX, from_peft, to_peft
from steerheal.students.peft_files import CONFIG_FILE, WEIGHTS_FILE


class Bomb:
    """Unpickled, it leaves a file."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


@pytest.fixture
def folder(llama_base, tmp_path):
    """A good adapter's folder."""
    (tmp_path / "adapter").mkdir()
    for name, payload in to_peft(random_adapter(llama_base, 2, 0), llama_base.anatomy).items():
        (tmp_path / "adapter" / name).write_bytes(payload)
    assert from_peft(tmp_path / "adapter", llama_base.anatomy).rank == 2
    return tmp_path / "adapter"


def check_refused(base, folder, *words):
    began = time.monotonic()
    with pytest.raises(UserError) as caught:
        from_peft(folder, base.anatomy)
    message = str(caught.value)
    assert message.isprintable() and len(message) < 1200 and str(folder) in message and "; " in message
    assert all(word in message for word in words), message
    assert time.monotonic() - began < 2


def configured(folder, **changes):
    path = folder / CONFIG_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def weights(folder, tensors):
    (folder / WEIGHTS_FILE).write_bytes(save(tensors))


def with_header(folder, header, length=None):
    text = json.dumps(header).encode()
    (folder / WEIGHTS_FILE).write_bytes(struct.pack("<Q", len(text) if length is None else length) + text)


@pytest.mark.parametrize("place", [CONFIG_FILE, WEIGHTS_FILE, "adapter_model.bin"])
@pytest.mark.parametrize("dumps", [pickle.dumps, partial(pickle.dumps, protocol=0)])
def test_a_pickle_is_never_run(llama_base, folder, tmp_path, place, dumps):
    canary = tmp_path / "canary"
    payload = dumps(Bomb(canary))
    (folder / place).write_bytes(payload)
    if place == "adapter_model.bin":
        (folder / WEIGHTS_FILE).unlink()
    check_refused(llama_base, folder)
    assert not canary.exists()
    pickle.loads(payload)
    assert canary.exists()


@pytest.mark.parametrize("name", ["../../escape", "/etc/passwd", "a\nb\x1b[2J", "", "x" * 50_000, "layers.1.q_proj\0"])
def test_tensors_with_odd_names_are_refused(llama_base, folder, name):
    tensors = {f"{PREFIX}{name}.lora_{half}.weight": torch.zeros(2, 2) for half in "AB"}
    weights(folder, tensors)
    check_refused(llama_base, folder, "no layer")
    weights(folder, {name: torch.zeros(2)})
    check_refused(llama_base, folder, "pair up")


@pytest.mark.parametrize("shape", [(), (2,), (2, 32, 1), (0, 32), (32, 2), (2, 33)])
def test_wrong_shapes_are_refused(llama_base, folder, shape):
    site = next(site for site, sizes in llama_base.anatomy.sites.items() if sizes == (32, 32))
    halves = {f"{PREFIX}{site}.lora_A.weight": torch.zeros(shape), f"{PREFIX}{site}.lora_B.weight": torch.zeros(32, 2)}
    weights(folder, halves)
    check_refused(llama_base, folder, "shapes")


def test_a_giant_rank_is_refused_unread(llama_base, folder):
    site, rank = next(iter(llama_base.anatomy.sites)), 2**30
    d_in, d_out = llama_base.anatomy.sites[site]
    half = rank * 4 * d_in
    header = {
        f"{PREFIX}{site}.lora_A.weight": {"dtype": "F32", "shape": [rank, d_in], "data_offsets": [0, half]},
        f"{PREFIX}{site}.lora_B.weight": {
            "dtype": "F32",
            "shape": [d_out, rank],
            "data_offsets": [half, half + rank * 4 * d_out],
        },
    }
    with_header(folder, header)
    with open(folder / WEIGHTS_FILE, "ab") as stream:
        # Holes: a quarter of a terabyte that takes no room on the disk.
        stream.truncate(stream.tell() + half + rank * 4 * d_out)
    check_refused(llama_base, folder)
    configured(folder, r=rank)
    check_refused(llama_base, folder, "no rank from 1 to")


def test_header_bombs_are_refused(llama_base, folder):
    for length in (2**63, 2**64 - 1, 2**40, 100):
        with_header(folder, {}, length)
        check_refused(llama_base, folder, "header")
    with_header(folder, {f"t{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(100_000)})
    check_refused(llama_base, folder, "header")
    for header in ({"t": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 0]}}, [], {"t": 1}):
        with_header(folder, header)
        check_refused(llama_base, folder, "damaged")
    (folder / WEIGHTS_FILE).write_bytes(b"")
    check_refused(llama_base, folder, "header")


@pytest.mark.parametrize(
    "changes",
    [{"r": value} for value in (0, -1, 2.5, "2", None, True, [2])]
    + [{"lora_alpha": value} for value in (None, "4", float("nan"), float("inf"), 1e300, 10**400)]
    + [
        {"use_dora": True},
        {"bias": "all"},
        {"peft_type": "IA3"},
        {"rank_pattern": {"q": 4}},
        {"alpha_pattern": {"q": 4}},
    ],
)
def test_settings_that_are_no_plain_lora_are_refused(llama_base, folder, changes):
    configured(folder, **changes)
    check_refused(llama_base, folder, CONFIG_FILE)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "1", "[" * 200_000, "{" + " " * 2**21 + "}", '{"r": ' + "9" * 5000 + "}"]
)
def test_settings_that_are_no_settings_are_refused(llama_base, folder, text):
    (folder / CONFIG_FILE).write_text(text)
    check_refused(llama_base, folder, CONFIG_FILE)


def test_the_model_that_an_adapter_names_cannot_break_the_line(llama_base, folder):
    configured(folder, base_model_name_or_path="a\nb\x1b[31m" * 10_000)
    weights(folder, {f"{PREFIX}x.lora_{half}.weight": torch.zeros(2, 2) for half in "AB"})
    check_refused(llama_base, folder, "a\\nb\\x1b[31m")


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
def test_what_is_no_file_is_not_waited_for(llama_base, folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    check_refused(llama_base, folder, "not an adapter")
    (folder / name).unlink()
    (folder / name).mkdir()
    check_refused(llama_base, folder, "not an adapter")
