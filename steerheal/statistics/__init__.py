"""Which differences are real. Pure functions on numbers; no torch.

means: a mean and its error; noise floor. levels: the level of every interval. fieller: the slope's interval.
pairs: differences between configurations. ties: who cannot be told from the best. detect: what can be found.
pareto: who is dominated. vignettes: what other vignettes might have shown.
"""
