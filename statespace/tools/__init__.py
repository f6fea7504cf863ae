"""Comparing, selecting and counting: tools that speak to the verbs of any model."""
