"""How fast, beside the peers, in one run on one machine: `python -m benchmarks markov --write`."""
