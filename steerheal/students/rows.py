"""What applies to each row of a batch: which student's adapters, and how much of which vector.

The plan of a forward pass is consulted by hooks on the model's blocks and linear layers (`students.base`), so the
weights are never touched and rows of different students and doses share one pass.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import torch

from steerheal.students.adapter import Adapter


@dataclass(frozen=True)
class Student:
    """A named stack of adapters, folded into one; `adapter` None is base."""

    name: Hashable
    adapter: Adapter | None = None


@dataclass(frozen=True)
class Vector:
    """A direction per block: `layers` maps block index → [d], raw (not normalised)."""

    name: Hashable
    layers: dict[int, torch.Tensor]


@dataclass(frozen=True)
class Row:
    """One row's settings. `apply` is `add` or `ablate`; a dose of 0 is the unsteered student."""

    student: Student
    vector: Vector | None = None
    dose: float = 0.0
    apply: str = "add"


class GroupedAdapters:
    """Adapters of rows in any order: one pair of matrix products per distinct student.

    Only a student's own rows are multiplied with its weights, so a non-finite adapter stays with its rows.
    """

    def __init__(self, students: Sequence[Student | None], device: torch.device):
        places: dict[Hashable, list[int]] = {}
        adapters: dict[Hashable, Adapter] = {}
        for place, student in enumerate(students):
            if student is not None and student.adapter is not None:
                places.setdefault(student.name, []).append(place)
                adapters[student.name] = student.adapter
        self.groups = [(_selector(places[name], device), adapters[name]) for name in places]
        self.sites = {site for _, adapter in self.groups for site in adapter.a}

    def delta(self, site: str, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """out [B, S, d_out] plus each row's own low-rank product of x [B, S, d_in]; `out` itself is changed."""
        for rows, adapter in self.groups:
            if site in adapter.a:
                low = (x[rows] @ adapter.a[site].T).flatten(0, 1)
                own = out[rows]
                own.view(-1, own.shape[-1]).addmm_(low, adapter.b[site].T, alpha=adapter.scale)
                if not isinstance(rows, slice):
                    out[rows] = own
        return out


def _selector(places: list[int], device: torch.device) -> slice | torch.Tensor:
    """A slice where the places are contiguous (no copy), an index tensor elsewhere."""
    if places == list(range(places[0], places[-1] + 1)):
        return slice(places[0], places[-1] + 1)
    return torch.tensor(places, device=device)


class MaskedAdapters:
    """Every student's adapter side by side: out + ((x Aᵀ) ∘ mask) Bᵀ, a row's mask leaving its own ranks.

    One pair of matrix products whatever the rows are, so shapes never change and a CUDA graph can hold it. All
    adapters must be finite: 0 · NaN is NaN. a: site → [R, d_in], b: site → [R, d_out], mask [n, R], R = Σ ranks.
    """

    def __init__(self, a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], mask: torch.Tensor):
        self.a, self.b, self.mask = a, b, mask
        self.sites = set(a)

    @classmethod
    def of(cls, students: Sequence[Student], device: torch.device) -> "MaskedAdapters | None":
        """The table for requests of `students`; None when all of them are base."""
        adapters = {student.name: student.adapter for student in students if student.adapter is not None}
        if not adapters:
            return None
        sites = {site: None for adapter in adapters.values() for site in adapter.a}
        a, b = {}, {}
        for site in sites:
            like = next(adapter for adapter in adapters.values() if site in adapter.a)
            here = [_sides(adapter, site, like) for adapter in adapters.values()]
            a[site], b[site] = (torch.cat(side).contiguous() for side in zip(*here))
        owner = [name for name, adapter in adapters.items() for _ in range(adapter.rank)]
        mask = [[student.name == name for name in owner] for student in students]
        return cls(a, b, torch.tensor(mask, device=device).to(next(iter(a.values())).dtype))

    def rows(self, which: torch.Tensor) -> "MaskedAdapters":
        """The same adapters for rows of the requests `which` [n]."""
        return MaskedAdapters(self.a, self.b, self.mask[which])

    def delta(self, site: str, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """out [n, 1, d_out] plus each row's own low-rank product of x [n, 1, d_in]."""
        low = (x[:, 0] @ self.a[site].T) * self.mask
        return torch.addmm(out[:, 0], low, self.b[site])[:, None]


def _sides(adapter: Adapter, site: str, like: Adapter) -> tuple[torch.Tensor, torch.Tensor]:
    """A [r, d_in] and scale · Bᵀ [r, d_out] at `site`; zeros of `like`'s shape where the adapter has none."""
    if site in adapter.a:
        return adapter.a[site], adapter.b[site].T * adapter.scale
    return tuple(side.new_zeros(adapter.rank, side.shape[1]) for side in (like.a[site], like.b[site].T))


@dataclass
class Steered:
    """Vectors of rows: per block a table [n, d] of directions, per row an index into it and a dose.

    positions [B, S] (or None: everywhere) is 0 where a row is not steered, as in prompts of `steer_prompt: false`.
    """

    tables: dict[int, torch.Tensor]
    index: torch.Tensor
    add: torch.Tensor
    ablate: torch.Tensor | None
    positions: torch.Tensor | None = None
    fired: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, rows: Sequence[Row], device: torch.device, dtype: torch.dtype) -> "Steered | None":
        """The steering of `rows`, or None when no row is steered."""
        vectors = {row.vector.name: row.vector for row in rows if row.vector is not None and row.dose != 0}
        if not vectors:
            return None
        numbers = {name: number for number, name in enumerate(vectors)}
        blocks = sorted({block for vector in vectors.values() for block in vector.layers})
        width = next(iter(next(iter(vectors.values())).layers.values())).shape[0]
        blank = torch.zeros(width)
        tables = {
            block: torch.stack([v.layers.get(block, blank) for v in vectors.values()]).to(device, dtype)
            for block in blocks
        }
        index = [numbers[row.vector.name] if row.vector and row.vector.name in numbers else 0 for row in rows]
        doses = {
            kind: [row.dose if row.vector is not None and row.apply == kind else 0.0 for row in rows]
            for kind in ("add", "ablate")
        }
        ablate = torch.tensor(doses["ablate"], device=device, dtype=dtype) if any(doses["ablate"]) else None
        return cls(
            tables, torch.tensor(index, device=device), torch.tensor(doses["add"], device=device, dtype=dtype), ablate
        )

    def rows(self, which: torch.Tensor, positions: torch.Tensor | None = None) -> "Steered":
        """The steering of rows `which` [n] of these, for one pass; positions [n, S] as in the class."""
        ablate = None if self.ablate is None else self.ablate[which]
        weights = None if positions is None else positions.to(self.add.dtype)
        return Steered(self.tables, self.index[which], self.add[which], ablate, weights)

    def __call__(self, block: int, hidden: torch.Tensor) -> torch.Tensor:
        """hidden [B, S, d] after `block`: h + dose·v (add), h − dose·(h·v̂)v̂ (ablate; Arditi et al. 2024)."""
        if block not in self.tables:
            return hidden
        self.fired.add(block)
        direction = self.tables[block][self.index]
        dose = self.add[:, None] if self.positions is None else self.add[:, None] * self.positions
        steered = hidden + dose[..., None] * direction[:, None, :]
        if self.ablate is None:
            return steered
        unit = torch.nn.functional.normalize(direction, dim=-1)
        along = (hidden @ unit[:, :, None]).squeeze(-1)
        removed = self.ablate[:, None] * along
        if self.positions is not None:
            removed = removed * self.positions
        return steered - removed[..., None] * unit[:, None, :]
