"""Jobs on a SLURM cluster, through submitit.

Imports the rest of sweep.
"""
