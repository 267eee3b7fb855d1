"""Data sets that are computed, one a file.

Imports the files beside it that know no source.
"""
