"""Training of an ensemble into a run directory, and what that takes.

Imports config, runs and integrity.
"""
