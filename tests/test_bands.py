"""Bands of the depth: which blocks they hold, what is refused, what an adapter does that counts in one only."""

import itertools
import json
import re
import sys
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftModel
from safetensors.torch import load_file, save_file
from test_adapter import IDS, own_logits, write
from test_engine import requests_for
from test_fit import checked
from test_loop import DATA, Given, trial
from test_search_spaces import SPACES
from tiny import DEVICE, random_adapter, save
from transformers import AutoModelForCausalLM

from steerheal import evaluate, generate
from steerheal.bands import band_blocks, band_text
from steerheal.config import Bands, load_space
from steerheal.errors import UserError
from steerheal.experiments.steer import ASKED
from steerheal.export import PEFT_FILES, write_adapters
from steerheal.generation.engine import Engine
from steerheal.generation.request import Request
from steerheal.generation.sampling import Sampling
from steerheal.generation.streams import stream_key
from steerheal.loop import run_trial
from steerheal.students.bands import banded
from steerheal.students.rows import Row, Student

FIFTHS = ("0-20", "20-40", "40-60", "60-80", "80-100")


@given(st.integers(1, 100), st.sets(st.integers(1, 9999).map(lambda n: n / 100), max_size=9))
def test_bands_that_share_edges_hold_every_block_once(count, cuts):
    edges = [0, *sorted(cuts), 100]
    bands = [band_text(f"{low:g}-{high:g}") for low, high in itertools.pairwise(edges)]
    assert [block for band in bands for block in band_blocks(band, count)] == list(range(count))


def test_fifths_of_every_depth_and_what_uneven_ones_look_like():
    for count in range(1, 101):
        parts = [band_blocks(band, count) for band in FIFTHS]
        assert [block for part in parts for block in part] == list(range(count))
        sizes = [len(part) for part in parts]
        assert max(sizes) - min(sizes) <= 1
    assert [list(band_blocks(band, 8)) for band in FIFTHS] == [[0], [1, 2], [3], [4, 5], [6, 7]]
    assert list(band_blocks("0-29", 100)) == list(range(29)), "0.29 · 100 is below 29 in floating point"


@pytest.mark.parametrize(
    "text", ["", "20", "20-", "-20-40", "20-20", "40-20", "20-101", "a-b", "1e1-20", "20-40-60", "middle"]
)
def test_what_is_no_band_is_refused_with_the_remedy(text):
    with pytest.raises(ValueError, match="; write"):
        band_text(text)


def test_a_band_is_written_in_one_way():
    assert {band_text(text) for text in ("20-40", " 20 - 40 ", "020-40.0")} == {"20-40"}
    assert band_text("12.5-25") == "12.5-25"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("band=upper", ("settings.bands.band", "20-40")),
        ("search.band=[0-20,90-120]", ("search.band", "100")),
        ("search.band=[20-40,20-40.0]", ("search.band", "twice")),
        ("outside=11", ("settings.bands.outside", "at most 10")),
        ("depth=[0.2,0.8]", ("search.band", "0-20 lies outside", "depth to [0, 1]")),
    ],
)
def test_a_space_refuses_bad_bands_in_one_line(override, words):
    with pytest.raises(UserError) as caught:
        load_space(SPACES / "bands.yaml", [override])
    assert "\n" not in str(caught.value) and all(word in str(caught.value) for word in words)


def test_a_band_that_holds_no_block_of_the_model_is_refused_before_the_sweep(llama_base, tmp_path):
    with pytest.raises(UserError, match=r"search.band: the band 50-60 holds none of the 4 blocks.*25 percent"):
        checked(tmp_path, llama_base, "layers=null", "depth=[0,1]", 'search.band=["0-50","50-60"]')


def jobs(**bands):
    stages = Given()
    run_trial(trial(rounds=1, seeds=(0,), bands=Bands(**bands)), DATA, "m", stages)
    return {(job.stage, n): job for n, job in enumerate(stages.jobs)}


def test_bands_change_nothing_but_the_measurements_of_the_student():
    plain, whole, part = jobs(), jobs(band="0-100", inside=1.0), jobs(band="20-40")
    assert [job.key for job in plain.values()] == [job.key for job in whole.values()]
    assert [job.key for job in jobs(band="20-40", outside=1.0).values()] == [job.key for job in plain.values()]
    differing = [place for place, job in plain.items() if job.key != part[place].key]
    assert differing and all(plain[place].student for place in differing)
    assert {plain[place].stage for place in differing} == {"evaluate", "canary"}
    measured = [job for job in part.values() if job.stage in ("evaluate", "canary")]
    assert {job.bands is not None for job in measured if job.student} == {True}
    assert {job.bands for job in measured if not job.student} == {None} and len(measured) > len(ASKED)


def close(first, second):
    torch.testing.assert_close(first, second, atol=1e-9, rtol=1e-9)


@pytest.fixture
def student(tiny_base):
    return Student("s", random_adapter(tiny_base, 3, 0, blocks=(0, 1, 2, 3)))


@pytest.mark.parametrize("whole", [Bands(), Bands(band="0-50", outside=1.0), Bands(band="0-100", outside=0.5)])
def test_the_whole_depth_is_the_plain_student_bit_for_bit(tiny_base, student, whole):
    assert banded(tiny_base, student, whole) is student
    assert banded(tiny_base, Student("base"), Bands(band="0-50")).adapter is None


def test_adjacent_bands_add_up_to_the_adapter(tiny_base, student):
    parts = [banded(tiny_base, student, Bands(band=band)).adapter for band in ("0-25", "25-75", "75-100")]
    assert sorted(site for part in parts for site in part.a) == sorted(student.adapter.a)
    rest = banded(tiny_base, student, Bands(band="25-75", inside=0.0, outside=1.0)).adapter
    assert sorted([*rest.a, *parts[1].a]) == sorted(student.adapter.a)


def by_hand(folder, blocks, factor=None):
    """A PEFT folder cut to some blocks, without this project's code; the others times `factor` instead."""
    weights = load_file(folder / "adapter_model.safetensors")
    config = json.loads((folder / "adapter_config.json").read_text())
    inside = {name: int(re.search(r"\.layers\.(\d+)\.", name)[1]) in blocks for name in weights}
    if factor is None:
        weights = {name: tensor for name, tensor in weights.items() if inside[name]}
        modules = sorted({name.split(".lora_")[0].rpartition(".")[2] for name in weights})
        config |= {"target_modules": modules, "layers_to_transform": list(blocks), "layers_pattern": "layers"}
    else:
        weights = {
            name: tensor * (factor if "lora_B" in name and not inside[name] else 1) for name, tensor in weights.items()
        }
    save_file(weights, folder / "adapter_model.safetensors", {"format": "pt"})
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("outside", [0.0, 0.5])
def test_a_band_equals_a_hand_cut_adapter_in_peft(llama_base, tmp_path, outside):
    plain = Student("s", random_adapter(llama_base, 3, 0, blocks=(0, 1, 2, 3)))
    cut = banded(llama_base, plain, Bands(band="25-75", outside=outside))
    folder = by_hand(write(llama_base, plain.adapter, tmp_path / "cut"), (1, 2), outside or None)
    llama_base.model.save_pretrained(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(
        tmp_path / "model", dtype=torch.float64, attn_implementation="eager"
    ).to(DEVICE)
    with torch.no_grad():
        theirs = PeftModel.from_pretrained(model, folder).double()(IDS).logits
    ours = own_logits(llama_base, cut.adapter)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert (ours - own_logits(llama_base, plain.adapter)).abs().max() > 0.01


def test_bands_in_a_mixed_batch_give_what_each_gives_alone(tiny_base, student):
    kinds = [Bands(), Bands(band="0-50"), Bands(band="50-100"), Bands(band="25-50", inside=0.5, outside=1.0)]
    students = [Student("base"), *(banded(tiny_base, student, bands) for bands in kinds)]
    assert len({one.name for one in students}) == len(students)
    mixed = [
        Request(
            tuple(range(10 + n, 30 + n)), Row(one), 12, stream_key(0, "p", 0.0, 0), Sampling(), read=(7, 8), suffix=(9,)
        )
        for n in range(2)
        for one in students
    ]
    together = Engine(tiny_base, slots=7).run([*mixed, *requests_for(tiny_base, 6)])
    answers = set()
    for request, batched in zip(mixed, together):
        (alone,) = Engine(tiny_base).run([request])
        assert batched.ids == alone.ids and batched.read == pytest.approx(alone.read, abs=1e-9)
        answers.add(tuple(batched.ids))
    assert len(answers) > len(students), "bands differ in what they say"


def refused(command, monkeypatch, *options):
    monkeypatch.setattr(sys, "argv", ["x", *map(str, options)])
    with pytest.raises(UserError) as caught:
        command.main()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("command", [evaluate, generate])
def test_single_steps_refuse_bands_and_adapters_that_do_not_fit(command, monkeypatch, tmp_path, llama_base):
    folder = write(llama_base, random_adapter(llama_base, 2, 0), tmp_path / "an adapter")
    model = save("llama", tmp_path / "another model", seed=1)
    assert "--band: says where an adapter" in refused(command, monkeypatch, "--band", "20-40")
    assert "write two edges in percent" in refused(command, monkeypatch, "--adapter", folder, "--band", "lower")
    told = refused(command, monkeypatch, "--model", model, "--dtype", "float64", "--adapter", folder, "--band", "0-50")
    assert f"trained for {llama_base.name}" in told and str(model) in told
    same = ("--model", llama_base.name, "--dtype", "float64", "--adapter", folder)
    assert "holds none of the 4 blocks" in refused(command, monkeypatch, *same, "--band", "1-2")


def test_an_exported_adapter_is_what_its_figures_are_about(tmp_path):
    """A trial that measured a band is not given away as the whole adapter."""
    (tmp_path / "key").mkdir()
    (tmp_path / "run").mkdir()
    for name in PEFT_FILES:
        (tmp_path / "key" / name).write_text("whole")
    summary = {"gain": 1.0, "coherence": 0.99, "slope": None}
    rows = [{"trial": n, "verdict": "ok", "students": {"0": ["key"]}, "summary": summary} for n in (0, 1)]
    store = SimpleNamespace(folder=lambda key: tmp_path / key)
    bands = {0: None, 1: Bands(band="20-40")}
    export = lambda history, part: {name: f"{history[0]} {part.band}".encode() for name in PEFT_FILES}
    write_adapters(tmp_path / "run", store, rows, [0, 1], export, lambda row: bands[row["trial"]])
    read = lambda trial: (tmp_path / "run" / "adapters" / trial / PEFT_FILES[0]).read_text()
    assert (read("trial-000-seed-0"), read("trial-001-seed-0")) == ("whole", "key 20-40")
    assert len(write_adapters(tmp_path / "run", store, rows, [1], None, lambda row: bands[row["trial"]])) == 0
    assert (read("trial-000-seed-0"), read("best")) == ("whole", "whole")


def test_adapters_stay_where_the_store_has_lost_one_of_them(tmp_path):
    """They are replaced all at once, or not at all."""
    summary = {"gain": 1.0, "coherence": 0.99, "slope": None}
    rows = [{"trial": n, "verdict": "ok", "students": {"0": [f"key{n}"]}, "summary": summary} for n in (0, 1)]
    for number in (0, 1):
        (tmp_path / f"key{number}").mkdir()
        for name in PEFT_FILES:
            (tmp_path / f"key{number}" / name).write_text(f"{number}")
    store = SimpleNamespace(folder=lambda key: tmp_path / key)
    write_adapters(tmp_path, store, rows, [0, 1], None)
    before = {path: path.read_bytes() for path in (tmp_path / "adapters").rglob("*") if path.is_file()}
    (tmp_path / "key1" / PEFT_FILES[0]).unlink()
    with pytest.raises(OSError):
        write_adapters(tmp_path, store, rows, [1, 0], None)
    assert {path: path.read_bytes() for path in (tmp_path / "adapters").rglob("*") if path.is_file()} == before
    assert not list(tmp_path.glob(".part-*"))
