"""Probabilistic models of sequences: one vocabulary, one scale, fast on a CPU."""

__version__ = "0.1.0"
