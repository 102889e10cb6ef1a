"""A soak: real sweeps (Ray, Tune, Optuna, MLflow, the built-in model) whose parts are killed and paused.

`python -m tests.soak --help`. What the product promises is checked from outside: its files, MLflow, the processes.
Nothing in the product knows of this; the worker in its actors is one that writes down what it does and waits at a
point when it is told to, so that a kill hits exactly there.
"""
