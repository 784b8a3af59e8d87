"""Benchmarks: each reports a ratio measured in one run, since absolute times say more about the machine than the code."""
