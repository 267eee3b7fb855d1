"""How the jobs of a sweep are carried out: in this process, by a pool of workers, on SLURM.

Imports the rest of sweep.
"""
