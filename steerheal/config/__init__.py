"""The schema of a search space and of a trial."""

from steerheal.config.sections import Dose, Evaluate, Filter, Heal, Sample, Settings, Steer
from steerheal.config.trial import ModelRef, Persona, Stop, TrialConfig

__all__ = [
    "Dose",
    "Evaluate",
    "Filter",
    "Heal",
    "ModelRef",
    "Persona",
    "Sample",
    "Settings",
    "Steer",
    "Stop",
    "TrialConfig",
]
