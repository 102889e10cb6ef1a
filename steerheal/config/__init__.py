"""The schema of a search space and of a trial; `load_space` reads one."""

from steerheal.config.dimensions import Choice, Dimension, Range
from steerheal.config.objectives import Objective
from steerheal.config.sections import Bands, Dose, Evaluate, Filter, Heal, Instil, Sample, Settings, Steer
from steerheal.config.sources import DataPaths, Kind, Resources
from steerheal.config.space import Space, load_space
from steerheal.config.trial import ModelRef, Persona, Stop, TrialConfig

__all__ = [
    "Bands",
    "Choice",
    "DataPaths",
    "Dimension",
    "Dose",
    "Evaluate",
    "Filter",
    "Heal",
    "Instil",
    "Kind",
    "ModelRef",
    "Objective",
    "Persona",
    "Range",
    "Resources",
    "Sample",
    "Settings",
    "Space",
    "Steer",
    "Stop",
    "TrialConfig",
    "load_space",
]
