"""Configuration files: YAML to specs and back, and changes to single values.

Imports nothing else of launch but errors.
"""
