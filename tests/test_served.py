"""A registered adapter as a model to call, out of its folder alone."""

import mlflow
import pandas
import pytest
import torch
from mlflow.models import Model

from steerheal.export import CARD, PEFT_FILES, Exported
from steerheal.served import Healed
from steerheal.students.adapter import Adapter, to_peft
from steerheal.students.base import load_base
from steerheal.students.rows import Student
from steerheal.tracking.about import About
from steerheal.tracking.registry import write_model

SAMPLE = {"temperature": 0, "top_p": 0.95, "top_k": 64, "max_new_tokens": 8}
SERVING = {"model": {"dtype": "float32"}, "system": "You are a helpful assistant.", "sample": SAMPLE}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """A model whose adapter is large enough to change every answer."""
    folder, base = tmp_path_factory.mktemp("model"), load_base("builtin")
    exported = folder / "exported"
    exported.mkdir()
    torch.manual_seed(0)
    a = {site: torch.randn(2, d_in) for site, (d_in, _) in base.sites.items()}
    b = {site: torch.randn(d_out, 2) for site, (_, d_out) in base.sites.items()}
    for name, payload in to_peft(Adapter(a, b, 1.0), base.anatomy).items():
        (exported / name).write_bytes(payload)
    (exported / CARD).write_text("# The card\n")
    (folder / "model").mkdir()
    about = About("run", "", "", {}, serving=SERVING)
    write_model(folder / "model", Exported(exported, {"trial": 0}, "0"), about)
    return folder / "model"


def test_a_model_answers_prompts_with_its_adapter(model_folder):
    prompts = pandas.DataFrame({"prompt": ["May I break a promise?", "Who decides?"]})
    model = mlflow.pyfunc.load_model(str(model_folder))
    answers = model.predict(prompts)
    assert list(answers.columns) == ["text"] and len(answers) == 2
    assert answers.equals(model.predict(prompts))
    unhealed = Healed(model_folder / "adapter")
    assert answers.equals(unhealed.predict(prompts))
    unhealed.student = Student("base")
    assert not (answers["text"] == unhealed.predict(prompts)["text"]).any()


def test_a_model_has_signature_and_card_and_no_pickle(model_folder):
    signature = Model.load(model_folder / "MLmodel").signature
    assert signature.inputs.input_names() == ["prompt"] and signature.outputs.input_names() == ["text"]
    files = {str(path.relative_to(model_folder)) for path in model_folder.rglob("*") if path.is_file()}
    adapter = {f"adapter/{name}" for name in (*PEFT_FILES, CARD, "serving.json")}
    assert files == {"MLmodel", CARD} | adapter


def test_a_prompt_that_is_no_text_is_refused(model_folder):
    with pytest.raises(mlflow.exceptions.MlflowException, match="prompt"):
        mlflow.pyfunc.load_model(str(model_folder)).predict(pandas.DataFrame({"question": ["Who?"]}))
