"""The base: one frozen causal language model, whose forward passes take a plan of rows.

Hooks on the blocks and linear layers add what the plan of the pass in flight asks for; without a plan they add
nothing. The weights are never modified.
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from transformers.utils import logging

from steerheal.errors import UserError
from steerheal.files import sha256
from steerheal.students.adapter import Anatomy
from steerheal.students.attention import NAME, Sight, seeing
from steerheal.students.batching import sight_of
from steerheal.students.fuse import fuse
from steerheal.students.rows import Steered

BUILTIN = Path(__file__).resolve().parent.parent / "organism" / "weights"
# Tokens that a loaded model is tried on, and what to say when it does not work as the engine does.
PROBE = 4
FAMILIES = "use a model of the Gemma-3, Qwen3, Llama or Mistral families"
DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Adapters(Protocol):
    """Low-rank products per row: `GroupedAdapters` in generation, `healing.pack.PackedAdapters` in training."""

    sites: set[str]

    def delta(self, site: str, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """out plus every row's own product of x at `site`."""


@dataclass(frozen=True)
class Start:
    """A pass that begins after block `block`, with the states [B, S, d] that it would have put out."""

    block: int
    states: torch.Tensor


@dataclass
class Plan:
    """What the pass in flight adds to base; `fired` and `steer.fired` prove that the hooks ran.

    start: where the pass begins, if not at the embedding; capture: blocks whose output is wanted.
    """

    adapters: Adapters | None = None
    steer: Steered | None = None
    start: Start | None = None
    capture: dict[int, torch.Tensor] | None = None
    fired: set[str] = field(default_factory=set)


class Base:
    """A frozen model with its tokenizer.

    blocks: the decoder's blocks; anatomy: what adapters must fit; `fingerprint` identifies weights, dtype and
    device kind.
    """

    def __init__(self, model: torch.nn.Module, tokenizer, name: str, weights: str, fingerprint: str):
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.fingerprint = fingerprint
        self.decoder = model.get_decoder()
        self.head = model.get_output_embeddings()
        self.config = self.decoder.config
        names = {module: name for name, module in model.named_modules()}
        self.blocks = self.decoder.layers
        self.anatomy = Anatomy(name, weights, names[self.decoder], {})
        if self.device.type == "cuda" and self.dtype in (torch.bfloat16, torch.float16):
            fuse(self.decoder)
        self._plan: Plan | None = None
        # Whether a pass may begin at a later block: a block's output must be its states alone.
        self.skips = True
        for number, block in enumerate(self.blocks):
            block.forward = self._skippable(number, block.forward)
            block.register_forward_hook(self._block_hook(number))
            for module in block.modules():
                if isinstance(module, torch.nn.Linear):
                    site = names[module]
                    self.sites[site] = (module.in_features, module.out_features)
                    module.register_forward_hook(self._site_hook(site))

    @property
    def name(self) -> str:
        """As the user named the model."""
        return self.anatomy.name

    @property
    def sites(self) -> dict[str, tuple[int, int]]:
        """Linear layers of the blocks: module name → (d_in, d_out)."""
        return self.anatomy.sites

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of hidden states."""
        return self.decoder.embed_tokens.weight.dtype

    def depth_blocks(self, low: float, high: float) -> tuple[int, ...]:
        """Blocks floor(low·L) … floor(high·L) − 1, at least one."""
        count = len(self.blocks)
        first = int(low * count)
        return tuple(range(first, max(int(high * count), first + 1)))

    def block_sites(self, blocks: tuple[int, ...]) -> list[str]:
        """The linear layers of `blocks`."""
        heads = tuple(f"{self.anatomy.decoder}.layers.{block}." for block in blocks)
        return [site for site in self.sites if site.startswith(heads)]

    def _skippable(self, number: int, forward):
        def run(hidden_states, *args, **kwargs):
            start = self._plan and self._plan.start
            if start is None or number > start.block:
                return forward(hidden_states, *args, **kwargs)
            return start.states

        return run

    def _block_hook(self, number: int):
        def hook(_module, _args, output):
            plan = self._plan
            if plan is None:
                return output
            hidden = output[0] if isinstance(output, tuple) else output
            self.skips = self.skips and not isinstance(output, tuple)
            if plan.steer is not None:
                hidden = plan.steer(number, hidden)
            if plan.capture is not None and number in plan.capture:
                plan.capture[number] = hidden
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        return hook

    def _site_hook(self, site: str):
        def hook(_module, args, output):
            plan = self._plan
            if plan is None or plan.adapters is None or site not in plan.adapters.sites:
                return output
            plan.fired.add(site)
            return plan.adapters.delta(site, args[0], output)

        return hook

    def hidden(self, ids: torch.Tensor, plan: Plan, sight: Sight, cache=None) -> torch.Tensor:
        """Final hidden states [B, S, d] (after the last norm) of ids [B, S] under `plan`.

        Raises RuntimeError when a hook that the plan needs did not run: a skipped hook would steer nothing.
        """
        self._plan = plan
        try:
            with seeing(sight):
                states = self.decoder(
                    input_ids=ids, position_ids=sight.positions, past_key_values=cache, use_cache=cache is not None
                ).last_hidden_state
        finally:
            self._plan = None
        if plan.steer is not None and plan.steer.fired != plan.steer.tables.keys():
            raise RuntimeError(f"steering hooks skipped: ran at blocks {sorted(plan.steer.fired)}")
        if plan.adapters is not None and plan.fired != plan.adapters.sites:
            raise RuntimeError(f"adapter hooks skipped at {sorted(plan.adapters.sites - plan.fired)[:3]}")
        return states

    def raw_logits(self, states: torch.Tensor) -> torch.Tensor:
        """Output head on hidden states [..., d] → [..., V], in the head's own dtype where nothing caps them."""
        return _read_out(self.head, self.config, states)

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Output head on hidden states [..., d] → [..., V], float32 at least."""
        logits = self.raw_logits(states)
        return logits if logits.dtype == torch.float64 else logits.float()


def load_base(
    name: str, dtype: str = "float32", load_in_4bit: bool = False, revision: str | None = None, device: str = "auto"
) -> Base:
    """Load `builtin`, a folder or a hub name. Raises UserError, in one line, for anything that cannot be loaded."""
    path = str(BUILTIN) if name == "builtin" else name
    if name == "builtin":
        logging.disable_progress_bar()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    common = {"revision": revision, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **common)
        config = AutoConfig.from_pretrained(path, **common)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{name}: model: {_first_line(error)}; give a folder, a hub name or builtin")
    if not tokenizer.chat_template:
        raise UserError(f"{name}: tokenizer: has no chat template; use an instruction-tuned model")
    with ThreadPoolExecutor(1) as beside:
        weights = beside.submit(_weights, path, config)
        model = _model(name, path, DTYPES[dtype], load_in_4bit, config=config, device_map=device, **common)
    for module in model.modules():
        # bitsandbytes would repack 4-bit weights at the first inference on a CPU, into a form without gradients.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    for weight_name, weight in model.named_parameters():
        if weight.is_floating_point() and not torch.isfinite(weight).all():
            raise UserError(f"{name}: model: {weight_name} holds NaN or infinite weights; download it again")
    _check_forward(name, model)
    loaded = json.dumps([weights.result(), dtype, load_in_4bit, torch.device(device).type])
    return Base(model, tokenizer, name, weights.result(), hashlib.sha256(loaded.encode()).hexdigest())


def _model(name: str, path: str, dtype: torch.dtype, load_in_4bit: bool, **how: Any) -> torch.nn.Module:
    """The weights, safetensors only; UserError when they cannot be loaded."""
    quantised = None
    if load_in_4bit:
        quantised = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
    own = {"attn_implementation": NAME, "quantization_config": quantised, "use_safetensors": True}
    try:
        return AutoModelForCausalLM.from_pretrained(path, dtype=dtype, **own, **how)
    except Exception as error:  # transformers, safetensors and the hub share no base class for a bad checkpoint
        raise UserError(f"{name}: model: cannot be loaded ({type(error).__name__}: {_first_line(error)})")


def _read_out(head: torch.nn.Module, config: Any, states: torch.Tensor) -> torch.Tensor:
    logits = head(states)
    cap = getattr(config, "final_logit_softcapping", None)
    return logits if cap is None else cap * torch.tanh(logits.float() / cap)


@torch.no_grad()
def _check_forward(name: str, model: torch.nn.Module) -> None:
    """UserError for a model that does something between its tokens and its logits which this code would leave out."""
    head, decoder = model.get_output_embeddings(), model.get_decoder()
    ids = torch.arange(PROBE, device=head.weight.device)[None]
    try:
        with seeing(sight_of(ids)):
            whole = model(input_ids=ids, use_cache=False).logits.float()
            states = decoder(input_ids=ids, use_cache=False).last_hidden_state
    except Exception as error:  # whatever an unknown architecture trips over
        raise UserError(f"{name}: model: cannot be run ({type(error).__name__}: {_first_line(error)}); {FAMILIES}")
    if not torch.allclose(_read_out(head, decoder.config, states).float(), whole, rtol=0.01, atol=0.01):
        raise UserError(f"{name}: model: its logits are not its output head on its last states; {FAMILIES}")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _weights(path: str, config) -> str:
    """sha256 over the model's files (a folder), or over its name and commit (the hub)."""
    folder = Path(path)
    if folder.is_dir():
        wanted = (".safetensors", ".json", ".jinja", ".model")
        identity = {file.name: sha256(file) for file in sorted(folder.iterdir()) if file.suffix in wanted}
    else:
        identity = {"hub": path, "commit": getattr(config, "_commit_hash", None)}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
