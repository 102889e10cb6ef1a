"""Heal: train fresh adapters on kept completions under a barrier, K of them in one pass.

The slots' losses (`slot_losses`) are summed for one backward pass; nothing else is shared, so a slot that diverges
leaves the others untouched.
"""

import hashlib
import math
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from steerheal.healing.examples import Example, split, steps
from steerheal.healing.losses import Positions, position_losses
from steerheal.healing.optimiser import StackedAdamW, schedule, slot_norms
from steerheal.healing.pack import PackedAdapters, flat, fresh_adapter
from steerheal.healing.slot_losses import Losses, logged
from steerheal.healing.spectral import SpectralPenalty
from steerheal.students.adapter import Adapter
from steerheal.students.base import Base, Plan, Start
from steerheal.students.batching import batches, pad, sight_of
from steerheal.students.rows import GroupedAdapters, Student

PRESSURE_POINTS = 20


@dataclass(frozen=True)
class HealTask:
    """One adapter to train: `settings` is the heal section, with lam as it holds for the round.

    held_out: what is validated on and never trained on; None: a share of `examples`, as the settings say. below: how
    many adapters the student has already.
    """

    examples: tuple[Example, ...]
    student: Student
    reference: Student
    settings: Any
    seed: int
    held_out: tuple[Example, ...] | None = None
    below: int = 0

    @property
    def start(self) -> int:
        """The seed of its first weights: a round's own, so that rounds do not all write from the same directions."""
        if not self.below:
            return self.seed
        return int.from_bytes(hashlib.sha256(f"{self.seed} {self.below}".encode()).digest()[:4])

    def parted(self) -> tuple[list[Example], list[Example]]:
        """(what is trained on, what is held out)."""
        if self.held_out is None:
            return split(self.examples, self.settings.held_out, self.seed)
        return list(self.examples), list(self.held_out)


@dataclass
class Healed:
    """adapter is None when the slot diverged at step `diverged`.

    steps: per step nll, divergence, loss, lr; validation: per epoch (0 = before training) nll and divergence on the
    held-out completions; pressure: at about 20 steps both gradient norms and their ratio.
    """

    adapter: Adapter | None = None
    diverged: int | None = None
    steps: list[dict] = field(default_factory=list)
    validation: list[dict] = field(default_factory=list)
    pressure: list[dict] = field(default_factory=list)


@dataclass
class _Slot:
    task: HealTask
    healed: Healed
    batches: list[list[Example]]
    held_out: list[Example]
    per_epoch: int
    pressure_at: set[int]


def heal(
    base: Base, tasks: Sequence[HealTask], on_step: Callable[[int, int], None] = lambda step, steps: None
) -> list[Healed]:
    """Train all tasks, those with equal sites and batch in one pack; results in the order of `tasks`.

    `on_step` hears how many steps of the longest slot are done, and of how many.
    """
    results: dict[int, Healed] = {}
    packs: dict[Hashable, list[int]] = {}
    for place, task in enumerate(tasks):
        packs.setdefault((task.settings.depth, task.settings.batch), []).append(place)
    for places in packs.values():
        pack = Training(base, [tasks[place] for place in places])
        results |= dict(zip(places, pack.train(on_step)))
    return [results[place] for place in range(len(tasks))]


class Training:
    """One pack: the slots that are still training, their parameters and optimiser."""

    def __init__(self, base: Base, tasks: list[HealTask]):
        self.base = base
        self.slots = [_slot(task) for task in tasks]
        self.healed = [slot.healed for slot in self.slots]
        settings = tasks[0].settings
        blocks = base.depth_blocks(*settings.depth)
        sites = {site: base.sites[site] for site in base.block_sites(blocks)}
        self.shared = blocks[0] - 1
        self.states, self.starts = reference_states(base, tasks, self.shared)
        dtype = torch.float64 if base.dtype == torch.float64 else torch.float32
        fresh = [fresh_adapter(sites, t.settings.r, t.settings.lora_alpha, t.start, base.device, dtype) for t in tasks]
        self.pack = PackedAdapters(fresh, [task.student.adapter for task in tasks], base.dtype)
        self.optimiser = StackedAdamW([self.pack.master])
        # Passes that a step's completions take.
        self.passes = 1
        self.spectral = SpectralPenalty(self.pack) if any(t.settings.spectral_lam for t in tasks) else None

    def train(self, on_step: Callable[[int, int], None]) -> list[Healed]:
        """Run every slot to its own last step."""
        total = max(len(slot.batches) for slot in self.slots)
        self._validate(0)
        for step in range(total):
            self._step(step)
            self._validate(step + 1)
            self._leave(step + 1)
            on_step(step + 1, total)
            if not self.slots:
                break
        return self.healed

    def _step(self, step: int) -> None:
        lr = [
            slot.task.settings.lr * schedule(step, len(slot.batches), slot.task.settings.warmup) for slot in self.slots
        ]
        gradients, rows = self._gradients(step)
        if len(gradients) == 2:
            self._note_pressure(step, *(slot_norms([gradient]) for gradient in gradients))
        settings = [slot.task.settings for slot in self.slots]
        self.optimiser.step(
            [self.pack.master],
            [sum(gradients[1:], gradients[0])],
            lr,
            [s.wd for s in settings],
            [s.clip for s in settings],
        )
        self.pack.refresh()
        # Last, because figures on the host wait for the device.
        for number, slot in enumerate(self.slots):
            slot.healed.steps.append({"step": step, "lr": lr[number], **logged(rows[number])})

    def _gradients(self, step: int) -> tuple[list[torch.Tensor], torch.Tensor]:
        """([gradient [K, P]] or [of nll, of the penalty], the losses' rows); in more passes once memory has run out."""
        batches = [slot.batches[step] for slot in self.slots]
        iterated = self.spectral and dict(self.spectral.v)
        while True:
            try:
                return self._in_passes(batches, any(step in slot.pressure_at for slot in self.slots))
            except torch.OutOfMemoryError:
                if self.passes >= max(map(len, batches)):
                    raise
                self.passes *= 2
                warnings.warn(f"out of GPU memory: a step's completions now take {self.passes} passes")
            if self.spectral:
                self.spectral.v = dict(iterated)
            torch.cuda.empty_cache()

    def _in_passes(self, batches: list[list[Example]], pressed: bool) -> tuple[list[torch.Tensor], torch.Tensor]:
        counts = [len(batch) for batch in batches]
        gradients, rows = None, 0.0
        for number in range(min(self.passes, max(counts))):
            parts = self.losses([batch[number :: self.passes] for batch in batches], counts, number == 0)
            found = self._pull_and_push(parts) if pressed else [self._gradient(parts.loss)]
            gradients = found if gradients is None else [sum(pair) for pair in zip(gradients, found)]
            rows = rows + parts.rows
        return gradients, rows

    def _gradient(self, loss: torch.Tensor, **how: bool) -> torch.Tensor:
        """Of every slot's loss [K] by its own weights, [K, P]."""
        return flat(torch.autograd.grad(loss.sum(), self.pack.parameters, **how))

    def _pull_and_push(self, parts: Losses) -> list[torch.Tensor]:
        pull = self._gradient(parts.nll, retain_graph=True).to(self.pack.master)
        if not parts.penalty.requires_grad:
            return [pull, torch.zeros_like(pull)]
        return [pull, self._gradient(parts.penalty, allow_unused=True, materialize_grads=True).to(pull)]

    def losses(self, examples: list[list[Example]], counts: list[int] | None = None, spectral: bool = True) -> Losses:
        """examples: some completions of each slot, of `counts` that its step has (default: all of them)."""
        rows = max(len(batch) for batch in examples)
        flat = [example for batch in examples for example in [*batch, *[None] * (rows - len(batch))]]
        ids = pad([example.ids if example else (0,) for example in flat], self.base.device)
        hidden = self.base.hidden(ids, Plan(adapters=self.pack, start=self._start(flat, ids)), sight_of(ids))
        positions = Positions.of(flat, self.base.device)
        reference = torch.cat(
            [
                self.states[slot.task.reference.name, example]
                for slot, batch in zip(self.slots, examples)
                for example in batch
            ]
        )
        fwd = [self.slots[row // rows].task.settings.reg == "kl_fwd" for row in range(len(flat))]
        forward = [kind for kind, count in zip(fwd, positions.counts) for _ in range(count)]
        nll, divergence = (
            losses.split(positions.counts)
            for losses in position_losses(
                self.base, hidden[positions.rows, positions.places], positions.targets, reference, forward
            )
        )
        penalties = self.spectral(self.pack) if self.spectral and spectral else nll[0].new_zeros(len(self.slots))
        found = Losses()
        for number, (slot, batch) in enumerate(zip(self.slots, examples)):
            own = slice(number * rows, number * rows + len(batch))
            count = counts[number] if counts else len(batch)
            penalty = penalties[number] * slot.task.settings.spectral_lam
            found.add(nll[own], divergence[own], count, slot.task.settings, penalty)
        return found.stacked()

    def _start(self, flat: list[Example | None], ids: torch.Tensor) -> Start | None:
        """What the blocks below the first adapted one put out for ids [B, S]: theirs never changes."""
        if not self.starts:
            return None
        states = next(iter(self.starts.values())).new_zeros(*ids.shape, self.base.config.hidden_size)
        for row, example in enumerate(flat):
            if example is not None:
                states[row, : len(example.ids)] = self.starts[example]
        return Start(self.shared, states)

    @torch.no_grad()
    def _validate(self, step: int) -> None:
        """At the start and after each of a slot's epochs, measure its held-out completions."""
        due = [slot.held_out if slot.held_out and step % slot.per_epoch == 0 else [] for slot in self.slots]
        counts, rows = [max(1, len(held_out)) for held_out in due], 0.0
        # A step's worth at a time, so that whoever can train can validate.
        size = self.slots[0].task.settings.batch
        for start in range(0, max(map(len, due)), size):
            parts = self.losses([held_out[start : start + size] for held_out in due], counts, start == 0)
            rows = rows + parts.rows
        for number, slot in enumerate(self.slots):
            if due[number]:
                slot.healed.validation.append({"epoch": step // slot.per_epoch, **logged(rows[number])})

    def _note_pressure(self, step: int, pull: torch.Tensor, push: torch.Tensor) -> None:
        for slot, nll, penalty in zip(self.slots, pull.tolist(), push.tolist()):
            if step in slot.pressure_at:
                ratio = penalty / nll if nll else None
                slot.healed.pressure.append({"step": step, "nll": nll, "barrier": penalty, "ratio": ratio})

    def _leave(self, done: int) -> None:
        """Slots that are finished or whose loss is no longer finite leave the pack."""
        stay = []
        for number, slot in enumerate(self.slots):
            if not math.isfinite(slot.healed.steps[-1]["loss"]):
                slot.healed.diverged = done - 1
            elif done == len(slot.batches):
                adapter = self.pack.adapter(number)
                slot.healed.adapter, slot.healed.diverged = (adapter, None) if adapter.finite() else (None, done - 1)
            else:
                stay.append(number)
        if len(stay) < len(self.slots):
            self.slots = [self.slots[number] for number in stay]
            for part in (self.pack, self.optimiser, self.spectral):
                if part is not None:
                    part.keep(stay)


def _slot(task: HealTask) -> _Slot:
    settings = task.settings
    training, held_out = task.parted()
    planned = list(steps(training, settings.batch, settings.epochs, task.seed))
    spacing = max(1, len(planned) / PRESSURE_POINTS)
    pressed = settings.reg != "nll" and settings.lam > 0 or settings.spectral_lam > 0
    at = {round(n * spacing) for n in range(PRESSURE_POINTS)} if pressed else set()
    return _Slot(task, Healed(), planned, held_out, len(planned) // settings.epochs, at)


@torch.no_grad()
def reference_states(base: Base, tasks: Sequence[HealTask], shared: int = -1) -> tuple[dict, dict]:
    """What healing needs to know of the references and of the blocks up to `shared`, which no adapter touches.

    Returns ({(reference name, example): its final hidden states [n, d] at the positions that predict the
    completion}, {example: the states [len, d] that block `shared` puts out}); the latter is empty where no pass can
    begin there. One pass serves all tasks and epochs; the output head is applied when needed, which is exact.
    """
    wanted = {(t.reference.name, example): t.reference for t in tasks for example in (*t.examples, *(t.held_out or ()))}
    pairs = list(wanted.items())
    found: dict[tuple[Hashable, Example], torch.Tensor] = {}
    starts: dict[Example, torch.Tensor] = {}
    for group in batches([len(example.ids) for (_, example), _ in pairs], base.device):
        students = [pairs[place][1] for place in group]
        ids = pad([pairs[place][0][1].ids for place in group], base.device)
        adapters = GroupedAdapters(students, base.device) if any(s.adapter for s in students) else None
        plan = Plan(adapters=adapters, capture={shared: None} if shared >= 0 else None)
        states = base.hidden(ids, plan, sight_of(ids))
        for row, place in enumerate(group):
            (name, example), _ = pairs[place]
            start = len(example.prompt) - 1
            found[name, example] = states[row, start : start + len(example.completion)].clone()
            if shared >= 0 and base.skips and example not in starts:
                starts[example] = plan.capture[shared][row, : len(example.ids)].clone()
    return found, starts
