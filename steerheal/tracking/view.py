"""How the table of a sweep's trials opens in MLflow's pages: as a leaderboard, with charts of what was
searched.

MLflow keeps a named view in a tag of the experiment, as the page's own "Save view" writes it. A version that
does not know such tags shows its plain table.
"""

import json
import uuid
from collections.abc import Sequence

TAG = "mlflow.sharedViewState."
# For the experiment: its pages are about training, not about traces of language models.
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": "slope",
}
FIGURES = ("rank", "slope", "gain", "coherence", "trait", "retain")
AGAINST = ("trait", "coherence", "slope")
# Pixels of the columns that every table has, and of ours: all fit beside the menu on a laptop.
WIDTHS = {"attributes.`Run Name`": 110, "runDateAndNestInfo": 140}
WIDTH = 86


def page(experiment: str, key: str) -> str:
    """The view's place on the server."""
    return f"/#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={key}"


def view(title: str, sweep: str, dimensions: Sequence[str], milliseconds: int) -> str:
    """The tag's value: the sweep's trials by rank, with verdict, figures and searched settings as columns,
    and parallel coordinates of the settings against trait, coherence and slope.
    """
    columns = ["tags.`verdict`", *(f"metrics.`{name}`" for name in FIGURES)]
    columns += [f"params.`{name}`" for name in dimensions]
    section = {"uuid": _id(sweep, "section"), "name": "The sweep", "display": True, "isReordered": False}
    state = {
        "searchFilter": f"tags.kind = 'trial' AND tags.sweep = '{sweep}'",
        "orderByKey": "metrics.`rank`",
        "orderByAsc": True,
        "selectedColumns": columns,
        "columnOrder": [*WIDTHS, *columns],
        "columnWidths": WIDTHS | dict.fromkeys(columns, WIDTH),
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": _charts(sweep, dimensions, section["uuid"]),
        "compareRunSections": [section | {"deleted": False, "isGenerated": False}],
    }
    made = {"createdAt": milliseconds, "updatedAt": milliseconds}
    return json.dumps({"name": title, "state": json.dumps(state)} | made)


def _charts(sweep: str, dimensions: Sequence[str], section: str) -> list[dict]:
    axes = {"xaxis": {"key": "gain", "type": "METRIC"}, "yaxis": {"key": "coherence", "type": "METRIC"}}
    charts = [
        {"type": "SCATTER"} | axes,
        {"type": "BAR", "metricKey": "slope", "displayName": "slope"},
    ]
    if dimensions:
        chosen = {"selectedParams": list(dimensions), "selectedMetrics": list(AGAINST), "showAllRuns": True}
        charts.insert(0, {"type": "PARALLEL"} | chosen)
    common = {"runsCountToCompare": 100, "metricSectionId": section, "deleted": False, "isGenerated": False}
    return [chart | common | {"uuid": _id(sweep, chart["type"])} for chart in charts]


def _id(sweep: str, part: str) -> str:
    """Of a part of the view; the same whenever it is made."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{sweep} {part}"))
