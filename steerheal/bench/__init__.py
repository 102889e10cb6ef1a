"""Measurements of speed, each against an honest baseline."""
