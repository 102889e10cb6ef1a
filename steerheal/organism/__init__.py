"""The built-in model: a small language model of our own, on which steering and healing mean something.

The package holds the corpus generator (one idea per file), the training script, the shipped weights and the
data files (vignettes, contexts, prompts, personas, canaries, instrument) that suit it.
"""

from pathlib import Path

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE / "weights"
DATA = HERE / "data"
