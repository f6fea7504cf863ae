"""Markov chains of any order."""
