"""The engine under load: thousands of requests, cancellations, scarce memory, loops, graphs."""

import gc
import random
import weakref
from dataclasses import replace

import pytest
import torch
from test_engine import requests_for, vector_for
from tiny import DEVICE, random_adapter, save
from transformers import AutoModelForCausalLM

from steerheal.generation import engine as engines
from steerheal.generation.deck import Deck
from steerheal.generation.engine import Engine
from steerheal.generation.request import Request
from steerheal.generation.sampling import GREEDY
from steerheal.students.base import Plan, load_base
from steerheal.students.batching import sight_of
from steerheal.students.rows import GroupedAdapters, MaskedAdapters, Row, Student


def test_ten_thousand_requests_get_what_each_gets_alone(llama_base):
    pool = [replace(r, max_new_tokens=min(r.max_new_tokens, 9), scored=0) for r in requests_for(llama_base, count=150)]
    alone = [Engine(llama_base).run([request])[0] for request in pool]
    draw = random.Random(3)
    places = [draw.randrange(len(pool)) for _ in range(10_000)]
    cancelled: set[int] = set()

    def now_and_then(_tokens):
        if draw.random() < 0.2:
            cancelled.update(draw.sample(range(len(places)), 3))

    found = Engine(llama_base, slots=96).run([pool[place] for place in places], now_and_then, cancelled)
    given_up = 0
    for place, got in zip(places, found):
        if got.cancelled:
            given_up += 1
            assert got.ids == alone[place].ids[: len(got.ids)] and got.read is None
        else:
            assert (got.ids, got.stop) == (alone[place].ids, alone[place].stop)
            assert (got.read is None) == (not pool[place].suffix)
            assert got.read is None or got.read == pytest.approx(alone[place].read, abs=1e-9)
    assert 0 < given_up < 2_000


def test_a_masked_product_is_each_rows_own(llama_base):
    students = [Student("base"), *(Student(n, random_adapter(llama_base, 3 + n, n)) for n in range(3))]
    draw = random.Random(0)
    which = [draw.randrange(4) for _ in range(17)]
    masked = MaskedAdapters.of(students, llama_base.device).rows(torch.tensor(which, device=DEVICE))
    grouped = GroupedAdapters([students[number] for number in which], llama_base.device)
    for site in masked.sites:
        width, height = llama_base.sites[site]
        x = torch.randn(17, 1, width, dtype=torch.float64, device=DEVICE)
        out = torch.randn(17, 1, height, dtype=torch.float64, device=DEVICE)
        torch.testing.assert_close(masked.delta(site, x, out), grouped.delta(site, x, out))


def test_when_memory_runs_out_slots_are_halved_and_nothing_changes(llama_base, monkeypatch):
    requests = requests_for(llama_base)
    expected = [completion.ids for completion in Engine(llama_base, slots=24).run(requests)]

    class Small(Deck):
        def __init__(self, base, requests, slots):
            if slots > 3:
                raise torch.OutOfMemoryError("no more")
            super().__init__(base, requests, slots)

    monkeypatch.setattr(engines, "Deck", Small)
    with pytest.warns(UserWarning, match="going on with 3 slots"):
        found = Engine(llama_base, slots=24).run(requests)
    assert [completion.ids for completion in found] == expected


def test_a_run_gives_its_memory_back_at_once(llama_base, monkeypatch):
    made = []

    class Watched(Deck):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(weakref.ref(self.cache))

    monkeypatch.setattr(engines, "Deck", Watched)
    gc.disable()
    try:
        Engine(llama_base, slots=8).run(requests_for(llama_base))
        assert made[0]() is None
    finally:
        gc.enable()


def test_a_row_in_a_loop_stops_early_if_asked(llama_base):
    prompt = (40, 41) * 30
    make = lambda asked: Request(  # noqa: E731
        prompt, Row(Student("base"), vector_for(llama_base, size=30.0), 1.0), 400, sampling=GREEDY, stop_loops=asked
    )
    stopped, whole = Engine(llama_base).run([make(True), make(False)])
    assert len(whole.ids) == 400 and len(stopped.ids) < 400
    assert stopped.ids == whole.ids[: len(stopped.ids)] and stopped.hit_limit


@pytest.mark.skipif(DEVICE != "cuda", reason="graphs are captured on a GPU only")
def test_a_replayed_step_steers(llama_base):
    from steerheal.generation.replay import Replayed

    vector = vector_for(llama_base, size=2.0)
    requests = [Request((30, 31, 32), Row(Student("base"), vector, dose), 20, stream=4) for dose in (0.0, 1.0) * 4]
    with torch.inference_mode():
        run = engines._Run(llama_base, requests, 8, set)
        while run.busy:
            run.step()
    assert isinstance(run.stepper, Replayed) and run.stepper.graphs
    found = [completion.ids for completion in run.completions()]
    plain = Engine(llama_base).run([replace(requests[0], row=Row(Student("base")))])[0].ids
    assert found[0] == found[2] == plain and found[1] == found[3] != plain


@pytest.mark.skipif(DEVICE != "cuda", reason="modules are compiled on a GPU only")
def test_compiled_modules_compute_what_the_models_own_do(tmp_path):
    folder = save("gemma3", tmp_path / "gemma3", torch.bfloat16)
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).to(DEVICE)
    half = load_base(str(folder), "bfloat16", device=DEVICE)
    assert "forward" in vars(half.blocks[0].input_layernorm) and "forward" in vars(half.blocks[0].mlp)
    ids = torch.randint(4, 260, (3, 30), device=DEVICE)
    with torch.no_grad():
        wanted = plain(ids).logits.log_softmax(-1)
        found = half.logits(half.hidden(ids, Plan(), sight_of(ids))).log_softmax(-1).double()
    assert (found - wanted).norm() / wanted.norm() < 2e-2
