"""Data sets that are read, one source a file: from files, folders, packages and TensorFlow Datasets.

Imports the files beside it that know no source.
"""
