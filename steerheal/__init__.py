"""steerheal: steer a language model with an activation vector, heal its coherence, and know which cure works."""

__version__ = "0.1.0"
