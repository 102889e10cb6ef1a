"""MLflow beside the files: a run per sweep, per trial and per seed, nested. Only the driver writes, and only
fields that are named here.

`tracker` takes events and returns at once, `runs` writes them, `figures` says which figures, `about` what is
said of the sweep, `view` how the table of its trials opens, `registry` where the best adapter goes.
"""

from steerheal.tracking.tracker import Tracker

__all__ = ["Tracker"]
