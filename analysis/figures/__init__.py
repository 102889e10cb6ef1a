"""The figures of a sweep: one file per family, each figure drawn by one function from recorded data.

theme: colours and marks, and how a figure is saved. trade: trait against coherence. ladder: the barrier's.
rounds: trajectories. gates: the filter. healing: losses and gradient pressure.
"""
