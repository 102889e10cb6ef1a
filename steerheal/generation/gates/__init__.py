"""The five gates of the filter, in the order in which a drop is attributed.

A gate is a module with `NAME`, `measure(measured) -> {name: number}` and `check(measured, measures,
thresholds) -> reason or None`; it looks at one completion alone and draws nothing at random.
"""

from steerheal.generation.gates import degenerate, narration, perplexity, refusal, repetition

IN_ORDER = (perplexity, repetition, narration, refusal, degenerate)
