"""The texts to be judged: a JSONL file as steerheal.generate or a run's canaries write it.

Each line has the text under `completion` or `text`, and may have the `prompt` that it answers and an `id` (or
`prompt_id`), `dose` and `sample` that tell it from others.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from steerheal.yaml_io import one_line, refusal

TELLING = ("id", "prompt_id", "dose", "sample")


@dataclass(frozen=True)
class Answer:
    """One text. `about`: what the line says of where it is from (id, prompt_id, dose, sample), as given."""

    line: int
    text: str
    prompt: str | None
    about: tuple[tuple[str, str | int | float], ...]

    @property
    def topic(self) -> tuple:
        """What it shares with the answer that it is compared with: all but the dose, or the prompt itself."""
        told = tuple(pair for pair in self.about if pair[0] != "dose")
        named = any(name in ("id", "prompt_id") for name, _ in told)
        return told if named else (("prompt", self.prompt), *told)


def read_answers(path: Path) -> list[Answer]:
    """The answers of a file, in its order; a line that holds none is refused with its number."""
    answers = [_answer(row, str(path), line) for line, row in _rows(path)]
    if not answers:
        raise refusal(str(path), "the file", "it holds no line", "put one JSON object on each line")
    return answers


def _answer(row: dict, name: str, line: int) -> Answer:
    where = f"line {line}"
    given = [key for key in ("completion", "text") if key in row]
    if len(given) != 1:
        what = "neither `completion` nor `text`" if not given else "both `completion` and `text`"
        raise refusal(name, where, what, "give the text to be judged under one of them")
    prompt = row.get("prompt")
    for key, value in ((given[0], row[given[0]]), ("prompt", prompt if prompt is not None else "")):
        if not isinstance(value, str):
            raise refusal(name, f"{where}: {key}", "it is not text", "write it in quotes")
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise refusal(name, f"{where}: {key}", "half of a surrogate pair", "write the character itself")
    about = tuple((key, row[key]) for key in TELLING if isinstance(row.get(key), str | int | float))
    return Answer(line, row[given[0]], prompt, about)


def _rows(path: Path) -> Iterator[tuple[int, dict]]:
    name = str(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or "not UTF-8 text"
        raise refusal(name, "the file", f"cannot be read ({what})", "give a JSONL file") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            what = f"not JSON ({one_line(str(error), 80)})"
            raise refusal(name, f"line {number}", what, "write one object a line") from None
        if not isinstance(row, dict):
            raise refusal(name, f"line {number}", "this is no JSON object", "write {..} on every line")
        yield number, row


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
