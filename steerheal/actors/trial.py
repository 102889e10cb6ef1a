"""One trial as a Tune function: a light process that asks the actors and reports rounds. No torch in here."""

import json
import time
import traceback
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune
from ray.exceptions import ActorDiedError, RayActorError

from steerheal.actors.stages import ClusterLost, RayStages
from steerheal.config import TrialConfig
from steerheal.errors import StageError, StoreAway, UserError
from steerheal.loop import run_trial
from steerheal.trial_data import TrialData

PAYLOAD = "payload"


@dataclass(frozen=True)
class Shared:
    """What all trials of a sweep have in common: the data, and the fingerprint of the base."""

    data: TrialData
    model: str


def trial_function(config: dict[str, Any], store: Any, shared: Shared) -> None:
    """Take a trial and run it to its end, whatever that is: every failure but the loss of the cluster or of the store is
    a recorded outcome. `config` has nothing to say: which trial it is is decided when the process is there.
    """
    try:
        number, settings = take(store, tune.get_context().get_trial_id())
    except ClusterLost as lost:
        tell(away=str(lost))
        return
    tell(began=number)
    stages = RayStages(store, client=f"trial {number}")
    try:
        trial = TrialConfig.model_validate_json(settings)
        summary = run_trial(trial, shared.data, shared.model, stages, lambda record: tell(record=record))
        outcome = {"summary": {name: value for name, value in summary.items() if name != "records"}}
    except (ClusterLost, StoreAway) as lost:
        outcome = {"lost": str(lost)}
    except (StageError, UserError) as failure:
        outcome = {"failure": str(failure)}
    except Exception as error:
        traceback.print_exc()
        outcome = {"failure": f"{type(error).__name__}: {error}"}
    tell(outcome=outcome)


def take(store: Any, taker: str) -> tuple[int, str]:
    """A trial's number and its TrialConfig as JSON; waits until there is one to run."""
    while True:
        try:
            if taken := ray.get(store.take.remote(taker)):
                return taken
            raise ClusterLost(f"the turn {taker} is over before it began")
        except ActorDiedError:
            raise ClusterLost("the store's process is gone and does not come back") from None
        except RayActorError:
            time.sleep(1.0)


def tell(**message: Any) -> None:
    """One message to the driver, as JSON, since Tune flattens and copies what it understands."""
    tune.report({PAYLOAD: json.dumps(message)})
