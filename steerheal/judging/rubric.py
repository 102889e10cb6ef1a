"""Rubrics: what a judge is asked about a text. YAML, as `rubrics/coherence.yaml` shows.

task: what the judge is to look at, and what not
dimensions:
  NAME:
    question: one question
    anchors: {"0": what a 0 looks like, "5": ..., "10": ...}   # 0 and 10 at least, whole numbers in quotes
"""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from steerheal.config.messages import validate
from steerheal.config.sections import Frozen
from steerheal.yaml_io import load, one_line, refusal

LOWEST, HIGHEST = 0, 10
SHIPPED = Path(__file__).parent / "rubrics"
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
# The judge gives it beside the dimensions, so none may have its name.
REASON = "reason"
Text = Annotated[str, Field(min_length=1, max_length=4000)]


def _anchored(anchors: dict[str, str]) -> dict[str, str]:
    known = [str(score) for score in range(LOWEST, HIGHEST + 1)]
    for score in anchors:
        if score not in known:
            raise ValueError(f"{one_line(score, 40)} is no score; anchors stand at whole numbers from 0 to 10")
    for end in (known[0], known[-1]):
        if end not in anchors:
            raise ValueError(f"there is no anchor at {end}; say what a {end} looks like")
    return dict(sorted(anchors.items(), key=lambda anchor: int(anchor[0])))


class Dimension(Frozen):
    """One question, answered by a number from 0 to 10; `anchors` say what some of the numbers look like."""

    question: Text
    anchors: Annotated[dict[str, Text], AfterValidator(_anchored)]


class Rubric(Frozen):
    """`dimensions` by name, in the order of the file, which is the order in which the judge is asked."""

    task: Text
    dimensions: Annotated[dict[str, Any], Field(min_length=1, max_length=20)]


def shipped() -> list[str]:
    """The names of the rubrics that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def find_rubric(name: str, option: str) -> Path:
    """The file that a shipped rubric's name or a path means; UserError (naming `option`) when there is none."""
    if name in shipped():
        return SHIPPED / f"{name}.yaml"
    if not Path(name).exists():
        near = difflib.get_close_matches(name, shipped(), n=1)
        remedy = f"did you mean {near[0]}?" if near else f"give a YAML file, or one of {', '.join(shipped())}"
        raise refusal(option, one_line(name, 200), "no such file, nor a shipped rubric", remedy)
    return Path(name)


def load_rubric(path: str | Path) -> Rubric:
    """Read and check a rubric; anything wrong is refused in one line that names file, key and remedy."""
    name = str(path)
    rubric = validate(Rubric, load(path), name)
    for key in rubric.dimensions:
        if not NAME.fullmatch(key) or key == REASON:
            what = "no name for a dimension" if key != REASON else "the judge's own reason has that name"
            raise refusal(name, f"dimensions.{one_line(key, 60)}", what, "write a word in small letters, such as tone")
    dimensions = {key: validate(Dimension, entry, name, "dimensions", key) for key, entry in rubric.dimensions.items()}
    return rubric.model_copy(update={"dimensions": dimensions})
