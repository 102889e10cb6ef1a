"""Healing against a plain reference: one completion at a time, weights merged, losses written out."""

import itertools
import random
from dataclasses import replace

import pytest
import torch
from tiny import load, random_adapter
from torch.func import functional_call

from steerheal.config import Heal
from steerheal.healing.divergence import AGGREGATIONS
from steerheal.healing.examples import Example, split, steps
from steerheal.healing.optimiser import StackedAdamW, schedule
from steerheal.healing.slot_losses import logged
from steerheal.healing.train import HealTask, Training, heal
from steerheal.students.adapter import fold
from steerheal.students.attention import seeing
from steerheal.students.batching import sight_of
from steerheal.students.rows import Student


@pytest.fixture(scope="module", params=["gemma3", "qwen3", "llama", "mistral"])
def base(request, tmp_path_factory):
    return load(request.param, tmp_path_factory.mktemp("tiny"), dtype="float32")


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return load("llama", tmp_path_factory.mktemp("tiny"), dtype="float32")


def examples(count=8, seed=0):
    draw = random.Random(seed)
    ids = lambda low, high: tuple(draw.randrange(4, 260) for _ in range(draw.randrange(low, high)))
    return tuple(Example(ids(3, 30), ids(2, 25)) for _ in range(count))


def settings(**changes):
    return Heal(**{"r": 3, "lora_alpha": 6.0, "epochs": 2, "lr": 1e-2, "depth": (0.25, 0.75), **changes})


def task(base, seed=0, history=1, data=0, count=8, **changes):
    past = [random_adapter(base, 2, 50 + n) for n in range(history)]
    student = Student(("past", history), fold(past)) if history else Student("base")
    reference = Student("base") if changes.get("barrier_ref") == "base" else student
    return HealTask(examples(count, data), student, reference, settings(**changes), seed)


def merged(base, adapters):
    """Base's weights plus scale·BA of each adapter (differentiable), by parameter name."""
    weights = {}
    for a, b, scale in adapters:
        for site in a:
            name = f"{site}.weight"
            weights[name] = weights.get(name, base.model.get_parameter(name)) + scale * b[site] @ a[site]
    return weights


def reference_logp(base, example, adapters):
    """log-probabilities [n, V] at the completion, from one unpadded sequence through the merged model."""
    ids = torch.tensor([example.ids], device=base.device)
    with seeing(sight_of(ids)):
        logits = functional_call(base.model, merged(base, adapters), (ids,)).logits[0]
    start = len(example.prompt) - 1
    return logits[start : start + len(example.completion)].float().log_softmax(-1)


def reference_loss(base, one, batch, a, b):
    """The formula of DESIGN, written plainly; returns (loss, nll, divergence)."""
    s = one.settings
    past = [(h.a, h.b, h.scale) for h in [one.student.adapter] if h]
    held_to = [(h.a, h.b, h.scale) for h in [one.reference.adapter] if h]
    losses, nlls, divergences = [], [], []
    for example in batch:
        p = reference_logp(base, example, [*past, (a, b, s.lora_alpha / s.r)])
        q = reference_logp(base, example, held_to).detach()
        nll = -p[range(len(example.completion)), list(example.completion)].mean()
        kl = torch.nn.functional.kl_div(q, p, log_target=True, reduction="none").sum(-1)
        if s.reg == "kl_fwd":
            kl = torch.nn.functional.kl_div(p, q, log_target=True, reduction="none").sum(-1)
        divergence = {
            "mean": lambda: kl.mean(),
            "rmse": lambda: (kl**2).mean() ** 0.5,
            "p95": lambda: torch.quantile(kl, 0.95),
            "max": lambda: kl.max(),
        }[s.kl_agg]()
        penalty = s.lam * torch.clamp(divergence - s.tau, min=0) if s.reg != "nll" else 0.0
        losses.append(nll + penalty)
        nlls.append(nll)
        divergences.append(divergence)
    mean = lambda values: torch.stack(values).mean()
    return mean(losses), mean(nlls), mean(divergences)


def with_random_b(training, seed=1):
    """B = 0 hides A's gradient: start the check from weights in the middle of training."""
    generator = torch.Generator().manual_seed(seed)
    for site in sorted(training.pack.sites):
        b = training.pack.b[site]
        drawn = torch.randn(b.shape[1:], generator=generator).to(b) * 0.1
        training.pack.b[site] = drawn.expand(b.shape).clone().requires_grad_()
    return training


KINDS = [("nll", "mean"), *itertools.product(["kl_rev", "kl_fwd"], AGGREGATIONS)]


@pytest.mark.parametrize("reg,agg", KINDS)
def test_loss_and_gradients_equal_the_reference(llama, reg, agg):
    check_against_reference(llama, reg, agg)


@pytest.mark.parametrize("reg,agg", [("kl_rev", "rmse"), ("kl_fwd", "p95")])
def test_every_family_equals_the_reference(base, reg, agg):
    check_against_reference(base, reg, agg)


def check_against_reference(base, reg, agg):
    held = {} if reg == "nll" else {"lam": 0.7, "tau": 0.05, "kl_agg": agg, "barrier_ref": "base"}
    one = task(base, reg=reg, **held)
    training = with_random_b(Training(base, [one]))
    batch = list(one.examples[:3])
    found = training.losses([batch])
    a = {site: training.pack.a[site].detach()[0].clone().requires_grad_() for site in training.pack.sites}
    b = {site: training.pack.b[site].detach()[0].clone().requires_grad_() for site in training.pack.sites}
    loss, nll, divergence = reference_loss(base, one, batch, a, b)
    assert found.loss[0].item() == pytest.approx(loss.item(), abs=1e-5)
    assert logged(found.rows[0])["nll"] == pytest.approx(nll.item(), abs=1e-5)
    if reg != "nll":
        assert logged(found.rows[0])["divergence"] == pytest.approx(divergence.item(), abs=1e-5)
        assert divergence > 0.05
    sites = sorted(a)
    wanted = torch.autograd.grad(loss, [a[s] for s in sites] + [b[s] for s in sites])
    got = torch.autograd.grad(found.loss.sum(), training.pack.parameters)
    for w, g in zip(wanted, got):
        torch.testing.assert_close(g[0], w, atol=1e-5, rtol=1e-4)


def mixed(base):
    """Slots that differ in everything a slot may differ in."""
    return [
        task(base, seed=0, reg="nll"),
        task(base, seed=1, reg="kl_rev", lam=0.3, tau=0.1, kl_agg="rmse", r=5, history=0, count=13),
        task(base, seed=2, reg="kl_fwd", lam=1.0, barrier_ref="base", epochs=4, data=3, history=2),
        task(base, seed=3, reg="kl_rev", lam=0.1, wd=5.0, spectral_lam=0.5, clip=0.1, data=4),
    ]


def flat(adapter):
    return torch.cat([t.flatten() for side in (adapter.a, adapter.b) for _, t in sorted(side.items())])


def test_packed_training_equals_alone_in_any_order(llama_base):
    """In float64: AdamW divides by gradients near zero, which would blow fp32's rounding up."""
    tasks = mixed(llama_base)
    alone = [heal(llama_base, [one])[0] for one in tasks]
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        packed = heal(llama_base, [tasks[place] for place in order])
        for place, healed in zip(order, packed):
            torch.testing.assert_close(flat(healed.adapter), flat(alone[place].adapter), atol=1e-9, rtol=1e-9)
            assert len(healed.steps) == len(alone[place].steps)
            for mine, its in zip(healed.validation, alone[place].validation):
                assert mine == pytest.approx(its, abs=1e-9)


def test_packed_gradients_equal_alone_in_fp32(llama):
    tasks = mixed(llama)
    packed = with_random_b(Training(llama, tasks))
    found = packed.losses([list(one.examples[:3]) for one in tasks])
    together = torch.autograd.grad(found.loss.sum(), packed.pack.parameters)
    for place, one in enumerate(tasks):
        single = Training(llama, [one])
        for site in single.pack.sites:
            rank = one.settings.r
            single.pack.b[site] = packed.pack.b[site].detach()[place : place + 1, :, :rank].clone().requires_grad_()
        alone = single.losses([list(one.examples[:3])])
        assert found.loss[place].item() == pytest.approx(alone.loss[0].item(), abs=1e-5)
        for mine, its in zip(together, torch.autograd.grad(alone.loss.sum(), single.pack.parameters)):
            torch.testing.assert_close(mine[place][tuple(map(slice, its[0].shape))], its[0], atol=1e-5, rtol=1e-4)


def test_steps_in_several_passes_equal_one_when_memory_runs_out(llama_base, monkeypatch):
    tasks = mixed(llama_base)
    expected = heal(llama_base, tasks)
    whole = Training.losses

    def scarce(self, examples, *rest):
        if torch.is_grad_enabled() and max(map(len, examples)) > 2:
            raise torch.OutOfMemoryError("no more")
        return whole(self, examples, *rest)

    monkeypatch.setattr(Training, "losses", scarce)
    with pytest.warns(UserWarning, match="take 2 passes"):
        found = heal(llama_base, tasks)
    for mine, its in zip(found, expected):
        torch.testing.assert_close(flat(mine.adapter), flat(its.adapter), atol=1e-9, rtol=1e-9)
        assert mine.steps[-1] == pytest.approx(its.steps[-1], abs=1e-9)
        assert len(mine.pressure) == len(its.pressure)
        for one, other in zip(mine.pressure, its.pressure):
            assert one == pytest.approx(other, rel=1e-6, abs=1e-9)


def test_a_slot_that_becomes_nan_leaves_its_neighbours_alone(llama_base):
    tasks = mixed(llama_base)
    poisoned = random_adapter(llama_base, 2, 9)
    next(iter(poisoned.b.values()))[0, 0] = float("nan")
    broken = HealTask(examples(), Student("poisoned", poisoned), Student("base"), settings(), 0)
    got = heal(llama_base, [tasks[0], broken, tasks[1]])
    wanted = heal(llama_base, [tasks[0], tasks[1]])
    assert got[1].adapter is None and got[1].diverged == 0
    for mine, its in zip([got[0], got[2]], wanted):
        torch.testing.assert_close(flat(mine.adapter), flat(its.adapter), atol=1e-9, rtol=1e-9)


def test_validation_starts_before_training_and_ends_after_it(llama):
    (healed,) = heal(llama, [task(llama, epochs=3)])
    assert [row["epoch"] for row in healed.validation] == [0, 1, 2, 3]
    assert healed.steps[-1]["nll"] < healed.steps[0]["nll"]


def test_gradient_pressure_is_logged_only_under_a_barrier(llama):
    free, held = heal(llama, [task(llama), task(llama, reg="kl_rev", lam=1.0, epochs=8)])
    assert free.pressure == [] and 10 <= len(held.pressure) <= 20
    assert held.pressure[0]["barrier"] == pytest.approx(0, abs=1e-6) and held.pressure[-1]["ratio"] > 0


def test_a_strong_barrier_holds_the_student(llama):
    runs = heal(llama, [task(llama, reg="kl_rev", lam=lam, epochs=6) for lam in (0.0, 1.0, 30.0)])
    final = [run.steps[-1]["divergence"] for run in runs]
    assert final[0] > final[1] > final[2]


def test_spectral_penalty_shrinks_the_largest_singular_value(llama):
    def largest(healed):
        adapter = healed.adapter
        return max(torch.linalg.matrix_norm(adapter.b[s] @ adapter.a[s], 2).item() for s in adapter.a)

    free, held = heal(llama, [task(llama, epochs=8, spectral_lam=lam) for lam in (0.0, 10.0)])
    assert largest(held) < 0.7 * largest(free)


def test_each_round_draws_a_start_of_its_own(llama):
    first = task(llama)
    rounds = [replace(first, below=below) for below in (0, 1, 2, 1)]
    starts = [Training(llama, [one]).pack.a for one in rounds]
    (site, *_) = starts[0]
    rows = [torch.nn.functional.normalize(start[site][0], dim=-1) for start in starts]
    assert torch.equal(rows[1], rows[3])
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (rows[one] * rows[other]).sum(-1).abs().max() < 0.8


def test_adamw_equals_torchs(llama):
    torch.manual_seed(0)
    start = torch.randn(3, 4, 5)
    mine, rates, decays = [start.clone()], [1e-2, 3e-2, 1e-1], [0.0, 1.0, 5.0]
    theirs = [torch.nn.Parameter(start[k].clone()) for k in range(3)]
    torchs = [
        torch.optim.AdamW([p], lr=rates[k], betas=(0.9, 0.95), weight_decay=decays[k]) for k, p in enumerate(theirs)
    ]
    stacked = StackedAdamW(mine)
    for _ in range(5):
        gradient = torch.randn(3, 4, 5)
        stacked.step(mine, [gradient], rates, decays, [1.0] * 3)
        for k, p in enumerate(theirs):
            p.grad = gradient[k].clone()
            torch.nn.utils.clip_grad_norm_([p], 1.0)
            torchs[k].step()
    for k, p in enumerate(theirs):
        torch.testing.assert_close(mine[0][k], p.data, atol=1e-6, rtol=1e-5)


def test_schedule_rises_then_falls_to_zero():
    factors = [schedule(step, 50, 0.1) for step in range(50)]
    assert factors[4] == 1.0 and factors[0] == pytest.approx(0.2)
    assert all(a > b for a, b in zip(factors[5:], factors[6:])) and factors[-1] < 0.01


def test_every_epoch_sees_each_example_once():
    rows = examples(10)
    training, held_out = split(rows, 0.125, seed=3)
    assert len(held_out) == 1 and sorted(training + held_out, key=str) == sorted(rows, key=str)
    seen = list(steps(training, 4, 2, seed=3))
    assert [len(batch) for batch in seen] == [4, 4, 1, 4, 4, 1]
    first, second = seen[:3], seen[3:]
    assert {e for b in first for e in b} == {e for b in second for e in b} == set(training) and first != second
