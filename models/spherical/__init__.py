"""Layers on the sphere and on SO(3), and their harmonic analysis.

Imports the files of models that know no layer.
"""
