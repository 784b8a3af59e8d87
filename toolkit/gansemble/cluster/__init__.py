"""Stages as jobs of a cluster: SLURM through submitit (extra ``cluster``). Imports no torch."""
