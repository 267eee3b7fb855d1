"""Layer specs, one a file, and what they compute with.

Imports the files of models that know no layer.
"""
