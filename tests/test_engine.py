"""Steered generation: what a row gets depends on the row alone."""

import random
from dataclasses import replace

import pytest
import torch
from tiny import DEVICE, random_adapter
from transformers import AutoModelForCausalLM

from steerheal.generation.engine import Engine
from steerheal.generation.request import Request
from steerheal.generation.sampling import GREEDY, Sampling
from steerheal.generation.streams import stream_key, uniforms
from steerheal.students.attention import Sight
from steerheal.students.base import Plan
from steerheal.students.batching import pad, sight_of
from steerheal.students.rows import Row, Steered, Student, Vector


def vector_for(base, size=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Vector(
        f"v{seed}", {block: size * torch.randn(32, generator=generator, dtype=base.dtype) for block in (1, 2)}
    )


def requests_for(base, count=24, seed=0, greedy=False):
    """Requests of mixed lengths, students, doses and settings."""
    draw = random.Random(seed)
    students = [Student("base"), *(Student(n, random_adapter(base, 2 + n, n)) for n in range(2))]
    made = []
    for number in range(count):
        row = Row(
            draw.choice(students),
            vector_for(base, seed=number % 2),
            draw.choice([0.0, 0.5, 1.0]),
            draw.choice(["add", "ablate"]),
        )
        made.append(
            Request(
                tuple(draw.randrange(4, 260) for _ in range(draw.randrange(3, 40))),
                row,
                draw.randrange(1, 30),
                stream_key(0, str(number), row.dose, 0),
                GREEDY if greedy else Sampling(),
                steer_prompt=draw.random() < 0.7,
                stops=(5, 6),
                suffix=tuple(draw.randrange(4, 260) for _ in range(number % 3 * 4)),
                read=(7, 8),
                scored=number % 3,
            )
        )
    return made


@pytest.mark.parametrize("greedy", [True, False])
def test_batched_equals_one_at_a_time(tiny_base, greedy):
    requests = requests_for(tiny_base, greedy=greedy)
    together = Engine(tiny_base, slots=7).run(requests)
    for request, batched in zip(requests, together):
        (alone,) = Engine(tiny_base).run([request])
        assert batched.ids == alone.ids and batched.hit_limit == alone.hit_limit
        assert (batched.read is None) == (not request.suffix)
        if request.suffix:
            assert batched.read == pytest.approx(alone.read, abs=1e-9)
            assert batched.nll == pytest.approx(alone.nll, abs=1e-9)


def test_order_and_slots_do_not_matter(llama_base):
    requests = requests_for(llama_base)
    expected = [completion.ids for completion in Engine(llama_base, slots=24).run(requests)]
    order = random.Random(1).sample(range(len(requests)), len(requests))
    shuffled = Engine(llama_base, slots=3).run([requests[place] for place in order])
    assert [shuffled[order.index(place)].ids for place in range(len(requests))] == expected


def test_greedy_equals_transformers_generate(tiny_base, tmp_path):
    tiny_base.model.save_pretrained(tmp_path)
    reference = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float64, attn_implementation="eager")
    prompt = tuple(range(10, 45))
    wanted = reference.to(DEVICE).generate(
        torch.tensor([prompt], device=DEVICE), max_new_tokens=40, do_sample=False, eos_token_id=None
    )
    (got,) = Engine(tiny_base).run([Request(prompt, Row(Student("base")), 40, sampling=GREEDY)])
    assert got.ids == wanted[0, len(prompt) :].tolist()


def test_zero_dose_equals_base_in_the_same_batch(tiny_base):
    prompt, vector = tuple(range(20, 40)), vector_for(tiny_base)
    make = lambda dose: Request(prompt, Row(Student("base"), vector, dose), 20, stream=7)
    plain = Request(prompt, Row(Student("base")), 20, stream=7)
    steered, zero, base = Engine(tiny_base).run([make(1.0), make(0.0), plain])
    assert zero.ids == base.ids and steered.ids != base.ids


def test_doses_one_after_another_give_what_each_gives_alone(llama_base):
    prompt, vector, engine = tuple(range(20, 40)), vector_for(llama_base), Engine(llama_base)
    requests = [Request(prompt, Row(Student("base"), vector, dose), 20) for dose in (0.0, 0.7, 1.5, 0.0)]
    in_turn = [engine.run([request])[0].ids for request in requests]
    fresh = [Engine(llama_base).run([request])[0].ids for request in requests]
    assert in_turn == fresh and in_turn[0] == in_turn[3] and len({tuple(ids) for ids in in_turn}) == 3


def test_suppressed_tokens_never_come(llama_base):
    request = requests_for(llama_base)[0]
    free = Engine(llama_base).run([replace(request, stops=(), max_new_tokens=30)])[0].ids
    banned = tuple(set(free))
    kept = Engine(llama_base).run([replace(request, stops=(), max_new_tokens=30, suppress=banned)])[0].ids
    assert not set(kept) & set(banned) and len(kept) == 30


def test_steering_is_what_the_formula_says(llama_base):
    ids = torch.arange(10, 22, device=DEVICE)[None]
    vector = vector_for(llama_base)
    direction = vector.layers[1].to(DEVICE)

    def states(row, capture=(1, 2)):
        plan = Plan(steer=Steered.of([row], llama_base.device, llama_base.dtype), capture=dict.fromkeys(capture))
        llama_base.hidden(ids, plan, sight_of(ids))
        return plan.capture

    plain, added = states(Row(Student("base"))), states(Row(Student("base"), vector, 0.5))
    torch.testing.assert_close(added[1], plain[1] + 0.5 * direction)
    ablated = states(Row(Student("base"), vector, 1.0, "ablate"))
    unit = direction / direction.norm()
    torch.testing.assert_close(
        ablated[1] @ unit, torch.zeros(1, 12, dtype=torch.float64, device=DEVICE), atol=1e-12, rtol=0
    )
    assert not torch.allclose(ablated[1], plain[1])


def test_a_skipped_hook_is_an_error(llama_base):
    ids = pad([[5, 6, 7]], llama_base.device)
    unknown = Vector("far", {99: torch.ones(32, dtype=torch.float64)})
    plan = Plan(steer=Steered.of([Row(Student("base"), unknown, 1.0)], llama_base.device, llama_base.dtype))
    with pytest.raises(RuntimeError, match="hooks skipped"):
        llama_base.hidden(ids, plan, sight_of(ids))


def test_steer_prompt_false_leaves_the_prompt_alone(llama_base):
    prompt, vector = tuple(range(20, 40)), vector_for(llama_base, size=5.0)
    make = lambda dose, everywhere: Request(
        prompt, Row(Student("base"), vector, dose), 1, sampling=GREEDY, steer_prompt=everywhere
    )
    base, only_new, everywhere = Engine(llama_base).run([make(0.0, True), make(1.0, False), make(1.0, True)])
    assert only_new.ids == base.ids != everywhere.ids


@pytest.mark.parametrize("apply", ["add", "ablate"])
def test_what_is_fed_after_the_prompt_is_steered_as_what_was_drawn(llama_base, apply):
    """With `steer_prompt: false`, too: a thought that is read again says what it said."""
    row = Row(Student("base"), vector_for(llama_base, size=2.0), 1.0, apply)
    asked = Request(
        tuple(range(20, 40)), row, 6, sampling=GREEDY, steer_prompt=False, suffix=(9, 10), read=(7, 8), scored=2
    )
    (drawn,) = Engine(llama_base).run([asked])
    fed = replace(asked, max_new_tokens=0, suffix=(*drawn.ids, 9, 10))
    again, unsteered = Engine(llama_base).run([fed, replace(fed, row=Row(Student("base")))])
    assert again.read == pytest.approx(drawn.read, abs=1e-9) and again.nll == pytest.approx(drawn.nll, abs=1e-9)
    assert again.read != pytest.approx(unsteered.read, abs=1e-3)


def test_streams_are_uniform_and_independent_of_their_neighbours():
    keys = torch.tensor([stream_key(0, str(n), 1.0, 0) for n in range(200)])
    draws = torch.stack([uniforms(keys, torch.full((200,), t)) for t in range(200)])
    assert 0 <= draws.min() and draws.max() < 1
    assert abs(draws.mean() - 0.5) < 0.01 and abs(draws.var() - 1 / 12) < 0.005
    torch.testing.assert_close(uniforms(keys[3:4], torch.tensor([5])), draws[5, 3:4])
    assert abs(torch.corrcoef(draws.T)[0, 1:]).max() < 0.4


def test_sliding_window_hides_what_is_too_far():
    mask = Sight(torch.arange(6)[None]).mask(3)[0, 0]
    assert mask.tolist() == [[q - 3 < k <= q for k in range(6)] for q in range(6)]
