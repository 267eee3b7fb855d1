"""Whether runs, their files and the machine are sound.

Imports config and runs.
"""
