"""The best adapter of a sweep as a version in MLflow's model registry, with its card and its signature.

The model is a folder: the PEFT adapter as it is, and a description that names `steerheal.served` as its
loader. Nothing in it is a pickle.
"""

import platform
import shutil
import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, Schema

from steerheal.export import CARD, PEFT_FILES, Exported
from steerheal.files import sha256, write_json
from steerheal.served import SERVING
from steerheal.tracking.about import About
from steerheal.tracking.figures import final_metrics

ADAPTER = "adapter"
USE = """Where steerheal is installed, and `mlflow.set_tracking_uri` has named this store:

    mlflow.pyfunc.load_model("models:/NAME/VERSION").predict(pandas.DataFrame({"prompt": ["Should I tell?"]}))
"""
SIGNATURE = ModelSignature(Schema([ColSpec("string", "prompt")]), Schema([ColSpec("string", "text")]))


def digest(best: Exported) -> str:
    """What tells one adapter from another: trial, seed and weights."""
    return f"{best.name} {sha256(best.path / PEFT_FILES[1])}"


def register(client: MlflowClient, experiment: str, experiment_id: str, run: str, best: Exported, about: About) -> None:
    """A new version of `steerheal-EXPERIMENT`, made by the trial's `run`."""
    tags = {"trial": str(best.row["trial"]), "seed": best.seed, "verdict": best.row["verdict"]}
    tags["sweep"] = about.title
    tags |= {name: about.tags[name] for name in ("model", "persona", "steerheal") if name in about.tags}
    figures = final_metrics(best.row["summary"])
    tags |= {name: f"{figures[name]:.6g}" for name in ("gain", "coherence", "slope") if name in figures}
    params = {name: str(value) for name, value in best.row["params"].items()}
    logged = client.create_logged_model(experiment_id, best.name, run, tags, params, "LoRA adapter")
    with tempfile.TemporaryDirectory(prefix="steerheal-model-") as scratch:
        write_model(Path(scratch), best, about, logged.model_id)
        client.log_model_artifacts(logged.model_id, scratch)
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run, [LoggedModelOutput(logged.model_id, step=0)])
    name = f"steerheal-{experiment}"
    said = f"The best adapter of each sweep of the space {experiment}. {USE}".replace("NAME", name)
    try:
        client.create_registered_model(name, description=said)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    card = (best.path / CARD).read_text()
    # Not `models:/ID`: resolving that takes the process's own server for the one that the model is on.
    source = logged.artifact_location
    client.create_model_version(name, source, run, tags, description=card, model_id=logged.model_id)


def write_model(folder: Path, best: Exported, about: About, model_id: str | None = None) -> None:
    """The model's folder, which `mlflow.pyfunc.load_model` loads where steerheal is installed."""
    for name in (*PEFT_FILES, CARD):
        (folder / ADAPTER).mkdir(exist_ok=True)
        shutil.copy(best.path / name, folder / ADAPTER / name)
    shutil.copy(best.path / CARD, folder / CARD)
    write_json(folder / ADAPTER / SERVING, dict(about.serving or {}))
    model = Model(signature=SIGNATURE, model_id=model_id)
    how = {"loader_module": "steerheal.served", "data": ADAPTER, "python_version": platform.python_version()}
    model.add_flavor("python_function", **how)
    model.save(str(folder / "MLmodel"))
