"""Run directories: what is in one, how it is written, read, held and watched.

Imports config.
"""
