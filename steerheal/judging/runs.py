"""A sweep's own answers as texts to be judged: what base, base steered, base prompted and the students said to the
canaries, with the scores by who said it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from steerheal.judging.answers import Answer
from steerheal.results import SPACE, RunFolder, read_lines
from steerheal.statistics.means import mean
from steerheal.yaml_io import refusal

# In the run's folder; the report shows what it says.
JUDGED = "judged.json"
# Who differs from trial to trial; the others are the same for all trials, and told once, as is a base that several
# trials steered alike.
OWN = ("steered", "healed")


def run_answers(folder: Path) -> list[Answer]:
    """The canaries' answers of all finished trials, of students those of their last round; UserError without any."""
    if not (folder / SPACE).is_file():
        raise refusal(
            str(folder), "the folder", "it is no run", "name a run's folder, such as tune_runs/barrier, or a file"
        )
    run = RunFolder(folder)
    answers: list[Answer] = []
    told: set[tuple] = set()
    steered = {(r["trial"], r["seed"]): r["keys"].get("canary_steered") for r in run.records if r["round"] == 0}
    for row in run.trials:
        lines = read_lines(run.answers(row["trial"]))
        last = {line["seed"]: line["round"] for line in lines if line["who"] == "healed"}
        for line in lines:
            who, seed = line["who"], line["seed"]
            if who == "healed" and line["round"] != last[seed]:
                continue
            about = {"who": who, "seed": seed, "id": line["id"], "sample": line.get("sample", 0)}
            about |= {"trial": row["trial"]} if who in OWN else {}
            whose = {"steered": steered.get((row["trial"], seed)), "healed": row["trial"]}.get(who)
            if (place := (who, whose, seed, about["id"], about["sample"])) not in told:
                told.add(place)
                answers.append(Answer(len(answers) + 1, line["text"], line["prompt"], tuple(about.items())))
    if not answers:
        what = "no finished trial has answers to canaries"
        raise refusal(str(folder), "the run", what, "run it with evaluate.canary_samples above 0")
    return answers


def by_speaker(dimensions: Sequence[str], rows: Sequence[Mapping]) -> list[dict]:
    """[{"who", "trial" (None where all trials share it), "scores": {dimension: {"mean", "se", "n", "failed"}}}], from
    `scoring.score_answers`' rows; over answers, so that seeds and prompts count alike.
    """
    groups: dict[tuple, list[Mapping | None]] = {}
    for row in rows:
        groups.setdefault((row["who"], row.get("trial")), []).append(row["scores"])
    return [
        {
            "who": who,
            "trial": trial,
            "scores": {name: vars(mean([found and found[name] for found in scores])) for name in dimensions},
        }
        for (who, trial), scores in groups.items()
    ]
