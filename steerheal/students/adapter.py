"""A low-rank adapter: at each adapted linear layer (a site), y += scale · (x Aᵀ) Bᵀ (Hu et al. 2021, LoRA).

A history of adapters is one adapter whose ranks are concatenated: A = [A₁; A₂; …], B = [s₁B₁, s₂B₂, …], scale 1.
On disk an adapter is ordinary PEFT: `adapter_config.json` and `adapter_model.safetensors`.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save as save_tensors

from steerheal.errors import UserError
from steerheal.students.peft_files import CONFIG_FILE, WEIGHTS_FILE, open_weights, read_config
from steerheal.yaml_io import one_line

PREFIX = "base_model.model."
A_KIND, B_KIND = "A.weight", "B.weight"
TRAINED_FOR = "steerheal_trained_for"


@dataclass(frozen=True)
class Anatomy:
    """What an adapter must fit: a model's name, the sha256 of its weights, the module name of its decoder, and its
    sites (module name of a linear layer → (d_in, d_out)); sites are named `DECODER.layers.N.MODULE`."""

    name: str
    weights: str
    decoder: str
    sites: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Adapter:
    """a: site → [r, in], b: site → [out, r]; sites are module names inside the model."""

    a: dict[str, torch.Tensor]
    b: dict[str, torch.Tensor]
    scale: float

    @property
    def rank(self) -> int:
        """The common rank r of all sites."""
        return next(iter(self.a.values())).shape[0]

    def finite(self) -> bool:
        """Whether every weight is finite."""
        return all(bool(torch.isfinite(t).all()) for t in [*self.a.values(), *self.b.values()])

    def to(self, device: torch.device, dtype: torch.dtype) -> "Adapter":
        """The same adapter elsewhere."""
        return Adapter(
            {site: t.to(device, dtype) for site, t in self.a.items()},
            {site: t.to(device, dtype) for site, t in self.b.items()},
            self.scale,
        )


def fold(history: Sequence[Adapter]) -> Adapter:
    """One adapter equal to the sum of `history`, of rank Σ rᵢ and scale 1. All must have the same sites."""
    sites = history[0].a.keys()
    if any(adapter.a.keys() != sites for adapter in history):
        raise ValueError("adapters of one history must cover the same sites")
    return Adapter(
        {site: torch.cat([h.a[site] for h in history]) for site in sites},
        {site: torch.cat([h.b[site] * h.scale for h in history], dim=1) for site in sites},
        1.0,
    )


def to_peft(adapter: Adapter, model: Anatomy) -> dict[str, bytes]:
    """The two files of a PEFT folder, by name; the weights' metadata say which model it was trained for."""
    places = [site.removeprefix(f"{model.decoder}.layers.").split(".", 1) for site in adapter.a]
    blocks = sorted({int(block) for block, _ in places})
    modules = sorted({re.escape(module) for _, module in places})
    # A pattern of whole names: a bare `q_proj` would also match the vision tower of a model that has one.
    pattern = rf"{re.escape(model.decoder)}\.layers\.({'|'.join(map(str, blocks))})\.({'|'.join(modules)})"
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": model.name,
        "r": adapter.rank,
        "lora_alpha": adapter.scale * adapter.rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": pattern,
        "inference_mode": True,
    }
    tensors = {}
    for site in adapter.a:
        tensors[f"{PREFIX}{site}.lora_A.weight"] = adapter.a[site].cpu().contiguous()
        tensors[f"{PREFIX}{site}.lora_B.weight"] = adapter.b[site].cpu().contiguous()
    return {
        CONFIG_FILE: (json.dumps(config, indent=1) + "\n").encode(),
        WEIGHTS_FILE: save_tensors(tensors, {"format": "pt", TRAINED_FOR: model.weights}),
    }


def from_peft(folder: Path, model: Anatomy) -> Adapter:
    """Read a PEFT LoRA folder for `model`, on the CPU in float32.

    Raises UserError when a file is missing, damaged or not finite, or when it was made for another model.
    """
    config = read_config(folder)
    made_for = config["base_model_name_or_path"]
    with open_weights(folder) as stored:
        if (stored.metadata() or {}).get(TRAINED_FOR, model.weights) != model.weights:
            raise UserError(
                f"{folder}: trained for {made_for}, whose weights are not those of {model.name}; use its own base"
            )
        names = {_place(name): name for name in stored.keys()}
        shapes = {place: tuple(stored.get_slice(name).get_shape()) for place, name in names.items()}
        _check_sites(folder, config, shapes, model.sites)
        tensors = {place: stored.get_tensor(name).float() for place, name in names.items()}
    a = {site: tensor for (kind, site), tensor in tensors.items() if kind == A_KIND}
    b = {site: tensor for (kind, site), tensor in tensors.items() if kind == B_KIND}
    divisor = config["r"] ** 0.5 if config.get("use_rslora") else config["r"]
    adapter = Adapter(a, b, config["lora_alpha"] / divisor)
    if not adapter.finite():
        raise UserError(f"{folder / WEIGHTS_FILE}: holds NaN or infinite weights; heal again")
    return adapter


def _place(name: str) -> tuple[str, str]:
    """(kind, site) of a tensor's name."""
    site, _, kind = name.removeprefix(PREFIX).rpartition(".lora_")
    return kind, site


def _check_sites(
    folder: Path, config: dict, shapes: dict[tuple[str, str], tuple], wanted: dict[str, tuple[int, int]]
) -> None:
    """Before a tensor is read: every site is the model's, has both halves, and these have its sizes and the rank."""
    made_for, rank = config["base_model_name_or_path"], config["r"]
    sites = sorted({site for _, site in shapes})
    if not sites or shapes.keys() != {(kind, site) for kind in (A_KIND, B_KIND) for site in sites}:
        raise UserError(f"{folder / WEIGHTS_FILE}: lora_A and lora_B do not pair up; is it a LoRA adapter?")
    for site in sites:
        shown = one_line(site, 80)
        if site not in wanted:
            raise UserError(f"{folder}: made for {made_for}: the loaded model has no layer {shown}; use its own base")
        (d_in, d_out), a, b = wanted[site], shapes[A_KIND, site], shapes[B_KIND, site]
        if len(a) != 2 or len(b) != 2 or (a[1], b[0]) != (d_in, d_out) or a[0] != b[1]:
            raise UserError(f"{folder}: made for {made_for}: shapes of {shown} differ from the model; use its own base")
        if a[0] != rank:
            raise UserError(f"{folder / CONFIG_FILE}: r: {rank} differs from the weights' rank at {shown}")
