"""A measurement's lines, printed as they come and written as JSON at the end."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import transformers

from steerheal import __version__
from steerheal.bench.machine import measured
from steerheal.files import write_json
from steerheal.students.base import DTYPES


def provenance() -> dict[str, Any]:
    """The versions of what is measured, and the time."""
    versions = {"steerheal": __version__, "torch": torch.__version__, "transformers": transformers.__version__}
    return {"versions": versions, "when": datetime.now(UTC).isoformat(timespec="seconds")}


class Report:
    """One command's figures, with the machine and the versions that they were measured on."""

    def __init__(self, bench: str, asked: argparse.Namespace):
        self.asked = asked
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(wanted if asked.device == "auto" else asked.device)
        self.machine = measured(self.device, DTYPES[asked.dtype])
        self.lines: dict[str, Any] = {}
        self.about = {
            "bench": bench,
            "settings": {name: value for name, value in vars(asked).items() if name != "json"},
            "machine": self.machine.name,
            "bandwidth_bytes_per_s": self.machine.bandwidth,
            "matrix_flop_per_s": self.machine.matrix_rate,
        } | provenance()
        rates = f"{self.machine.bandwidth / 1e9:,.0f} GB/s, {self.machine.matrix_rate / 1e12:,.1f} TFLOP/s"
        print(f"{bench}, {asked.model}, {asked.dtype}, on {self.machine.name} ({rates} measured)", flush=True)

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """What every measurement takes."""
        parser.add_argument("--model", default="builtin", help="a shape with random weights, a folder, or builtin")
        half = torch.cuda.is_available()
        parser.add_argument("--dtype", choices=sorted(DTYPES), default="bfloat16" if half else "float32")
        parser.add_argument("--device", default="auto")
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")

    def line(self, name: str, value: float | tuple[float, ...], unit: str) -> None:
        """One figure, or several that belong together."""
        self.lines[name.strip()] = {"value": value, "unit": unit}
        values = value if isinstance(value, tuple) else (value,)
        shown = "  ".join(f"{v:,.0f}" if v >= 1000 else f"{v:.3g}" for v in values)
        print(f"{name:<56}{shown:>12} {unit}".rstrip(), flush=True)

    def end(self) -> None:
        """Write the JSON, if asked."""
        if self.asked.json is not None:
            write_json(self.asked.json, self.about | {"figures": self.lines})
