"""Many runs from one description, each a job that any executor can carry out.

Imports config, runs, integrity and training.
"""
