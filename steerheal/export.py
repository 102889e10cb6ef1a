"""The best students as PEFT folders, out of the stage store, each with a README that says how to load it."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from steerheal.config.sections import Bands
from steerheal.files import write_bytes, write_text
from steerheal.leftovers import PART
from steerheal.store import Store

TOP = 3
WORTH_KEEPING = ("ok", "weak", "broad")
PEFT_FILES = ("adapter_config.json", "adapter_model.safetensors")
CARD = "README.md"

Export = Callable[[Sequence[str], Bands | None], Mapping[str, bytes]]


@dataclass(frozen=True)
class Exported:
    """An adapter's folder, the row of the trial that it comes from, and its seed."""

    path: Path
    row: Mapping[str, Any]
    seed: str

    @property
    def name(self) -> str:
        """Which student it is."""
        return f"trial-{self.row['trial']:03d}-seed-{self.seed}"


def write_adapters(
    path: Path,
    store: Store,
    rows: Sequence[Mapping[str, Any]],
    order: Sequence[int],
    export: Export | None,
    bands: Callable[[Mapping[str, Any]], Bands | None] = lambda row: None,
) -> list[Exported]:
    """`adapters/best`, then one folder per seed of the top few trials; what was written, best first. The folder is replaced
    as a whole, or stays as it was.

    `export` makes one adapter of a history of several rounds, or of what `bands` of a trial's row leaves of it;
    without it (no model at hand) those are left out.
    """
    by_number = {row["trial"]: row for row in rows}
    chosen = [by_number[number] for number in order if by_number[number]["verdict"] in WORTH_KEEPING][:TOP]
    place, written = path / "adapters", []
    with tempfile.TemporaryDirectory(dir=path, prefix=PART) as scratch:
        aside = Path(scratch) / place.name
        for row in chosen:
            for seed, history in sorted(row["students"].items()):
                if files := _files(store, history, bands(row), export):
                    exported = Exported(place, row, seed)
                    written.append(replace(exported, path=place / exported.name))
                    _write(aside / exported.name, files, _readme(row, seed))
        if not written:
            return []
        shutil.copytree(aside / written[0].name, aside / "best")
        shutil.rmtree(place, ignore_errors=True)
        os.replace(aside, place)
    return [replace(written[0], path=place / "best"), *written]


def _files(
    store: Store, history: Sequence[str], bands: Bands | None, export: Export | None
) -> Mapping[str, bytes] | None:
    """A single round's adapter lies in the store as it is; several rounds become one by concatenation."""
    if len(history) == 1 and bands is None:
        return {name: (store.folder(history[0]) / name).read_bytes() for name in PEFT_FILES}
    return export(history, bands) if export else None


def _write(target: Path, files: Mapping[str, bytes], readme: str) -> None:
    for name, payload in files.items():
        write_bytes(target / name, payload)
    write_text(target / CARD, readme)


def _readme(row: Mapping[str, Any], seed: str) -> str:
    summary = row["summary"]
    figures = [
        f"{name} {summary[name]:.4g}" for name in ("gain", "coherence", "slope") if summary.get(name) is not None
    ]
    return f"""# Trial {row["trial"]}, seed {seed}

Verdict {row["verdict"]}; over the trial's seeds: {", ".join(figures)}. A LoRA adapter for the base named in
`adapter_config.json`; `base` is that model, as `transformers` loads it, and FOLDER is this folder:

    from peft import PeftModel
    model = PeftModel.from_pretrained(base, "FOLDER")

Measure it again: `python -m steerheal.evaluate --adapter FOLDER`
"""
