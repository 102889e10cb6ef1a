"""A registered adapter as a model to call.

>>> model = mlflow.pyfunc.load_model("models:/steerheal-barrier/1")
>>> model.predict(pandas.DataFrame({"prompt": ["Should I tell?"]}))["text"]

Answers are sampled as the sweep sampled, unsteered; the same prompt has the same answer each time.
"""

import json
from pathlib import Path
from typing import Any

import pandas

# Beside the adapter: how its base is loaded, the system prompt, how answers are sampled.
SERVING = "serving.json"


class Healed:
    """The student: base with one adapter."""

    def __init__(self, folder: Path):
        from steerheal.generation.engine import Engine
        from steerheal.students.adapter import CONFIG_FILE
        from steerheal.students.base import load_base
        from steerheal.students.reading import read_student

        self.how = json.loads((folder / SERVING).read_text())
        name = json.loads((folder / CONFIG_FILE).read_text())["base_model_name_or_path"]
        self.base = load_base(name, **self.how["model"])
        self.engine, self.student = Engine(self.base), read_student(self.base, [folder])

    def predict(self, prompts: pandas.DataFrame, params: Any = None) -> pandas.DataFrame:
        """One answer per prompt."""
        from steerheal.config.sections import Sample
        from steerheal.generation.answers import Ask, answer
        from steerheal.jobs import Prompt
        from steerheal.students.rows import Row

        row, sample = Row(self.student), Sample(**self.how["sample"])
        asks = [Ask(Prompt(text, text), row, self.how["system"], sample, 0, 0) for text in prompts["prompt"]]
        return pandas.DataFrame({"text": [found.text for found in answer(self.engine, asks)]})


def _load_pyfunc(path: str) -> Healed:
    """MLflow asks for the model by this name."""
    return Healed(Path(path))
