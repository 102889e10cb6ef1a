"""What a trial can be: one module per experiment, chosen by a space's `experiment:`."""

from steerheal.experiments.belief import BeliefExperiment
from steerheal.experiments.rounds import Experiment
from steerheal.experiments.steer import Steer
from steerheal.experiments.voice import Voice

EXPERIMENTS: dict[str, type[Experiment]] = {"steer": Steer, "voice": Voice, "belief": BeliefExperiment}
