"""What another model said of a run's answers (`python -m steerheal.judge tune_runs/NAME`), if it was asked."""

import json
from collections.abc import Mapping
from typing import Any

from analysis.html import Html, table, tag
from analysis.load import Sweep
from steerheal.errors import UserError
from steerheal.judging.runs import JUDGED
from steerheal.live import figure, params_text
from steerheal.statistics.means import finite


def read_judged(sweep: Sweep) -> Mapping[str, Any] | None:
    """What the judge's report holds; None where the run was not judged. Raises UserError for a damaged one."""
    path = sweep.folder.path / JUDGED
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["speakers"], found["scores"], found["judge"]
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{path}: is no report of steerheal.judge on a run; judge it again, or remove the file"
        ) from None
    return found


def scores(sweep: Sweep, who: str, trial: int | None) -> dict[str, float | None]:
    """Dimension → mean score of one speaker; {} where it was not judged."""
    for one in (read_judged(sweep) or {}).get("speakers", ()):
        if (one["who"], one["trial"]) == (who, trial):
            return {name: found["mean"] for name, found in one["scores"].items()}
    return {}


def judged(sweep: Sweep) -> Html | None:
    """Scores per speaker and dimension, and how far they can be relied on."""
    found = read_judged(sweep)
    if found is None:
        return None
    names = list(found["scores"])
    place = {number: position for position, number in enumerate(sweep.order)}
    known = [one for one in found["speakers"] if one["trial"] is None or one["trial"] in place]
    known.sort(key=lambda one: -1 if one["trial"] is None else place[one["trial"]])
    rows = [[_speaker(sweep, one), *[_score(one["scores"][name]) for name in names]] for one in known]
    cost = found["cost"]
    said = (
        f"{found['judge']} scored each answer to the canaries {found['passes']} times from 0 to 10, without being told who "
        f"gave it; ± is one standard error over answers. {_reliability(found)}"
    )
    failed = f" {cost['failed']} of {cost['judgements']} judgements failed and are left out." if cost["failed"] else ""
    return tag("div", tag("p", said + failed), table(("answers of", *names), rows, "Judged", "w" + "n" * len(names)))


def _speaker(sweep: Sweep, one: Mapping[str, Any]) -> str:
    if one["trial"] is None:
        return "base" if one["who"] == "base" else f"base, {one['who']}"
    if one["who"] == "steered":
        return f"base, steered as in trial {one['trial']}"
    return f"trial {one['trial']}: {params_text(sweep.by_number[one['trial']]['params'])}"


def _score(found: Mapping[str, Any]) -> str:
    error = f" ± {found['se']:.2f}" if finite(found["se"]) else ""
    return f"{figure(found['mean'], 2)}{error}"


def _reliability(found: Mapping[str, Any]) -> str:
    agreed = {name: one for name, one in (found["agreement"] or {}).items() if one["alpha"] is not None}
    if not agreed:
        return "How repeatable that is cannot be told from these passes."
    told = ", ".join(
        f"{name} {one['alpha']:.2f} ({figure(one['low'], 2)} to {figure(one['high'], 2)})"
        for name, one in agreed.items()
    )
    return (
        f"Agreement between its passes (Krippendorff's alpha, 1 perfect, 0 chance): {told}. That says how repeatable the "
        "judge is, not that it is right."
    )
