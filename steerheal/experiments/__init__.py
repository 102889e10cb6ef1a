"""What a trial can be: one module per experiment, chosen by a space's `experiment:`."""

from steerheal.experiments.belief import BeliefExperiment
from steerheal.experiments.rounds import Experiment
from steerheal.experiments.steer import Steer

EXPERIMENTS: dict[str, type[Experiment]] = {"steer": Steer, "belief": BeliefExperiment}
