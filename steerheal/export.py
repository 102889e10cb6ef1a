"""The best students as PEFT folders, copied out of the stage store, each with a README that loads it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steerheal.files import write_text
from steerheal.results import copy_folder
from steerheal.store import FolderStore

TOP = 3
WORTH_KEEPING = ("ok", "weak", "broad")
PEFT_FILES = ("adapter_config.json", "adapter_model.safetensors")


def write_adapters(
    path: Path, store: FolderStore, rows: Sequence[Mapping[str, Any]], order: Sequence[int]
) -> list[Path]:
    """`adapters/best`, then the top few trials' adapters per seed; the folders that were written, best first."""
    by_number = {row["trial"]: row for row in rows}
    chosen = [by_number[number] for number in order if by_number[number]["verdict"] in WORTH_KEEPING][:TOP]
    written = []
    for row in chosen:
        for seed, history in sorted(row["students"].items()):
            target = path / "adapters" / f"trial-{row['trial']:03d}-seed-{seed}"
            _write(store, history, target, row, seed)
            written.append(target)
    if not written:
        return []
    best = path / "adapters" / "best"
    copy_folder(written[0], best)
    return [best, *written]


def _write(store: FolderStore, history: Sequence[str], target: Path, row: Mapping[str, Any], seed: str) -> None:
    """One student. A single round is one PEFT folder; of several rounds, each lies in a folder of its own."""
    single = len(history) == 1
    for number, key in enumerate(history):
        place = target if single else target / f"round-{number}"
        copy_folder(store.folder(key), place)
    write_text(target / "README.md", _readme(history, row, seed))


def _readme(history: Sequence[str], row: Mapping[str, Any], seed: str) -> str:
    summary = row["summary"]
    where = ["."] if len(history) == 1 else [f"round-{number}" for number in range(len(history))]
    return f"""# Trial {row['trial']}, seed {seed}

Verdict {row['verdict']}; gain {summary.get('gain')}, coherence {summary.get('coherence')}, slope {summary.get('slope')}.

    from peft import PeftModel
    model = PeftModel.from_pretrained(base, "{where[0]}")

Measure it again: python -m steerheal.evaluate --adapter {' '.join(where)}
"""
