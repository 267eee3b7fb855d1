"""Figures, one a file, of tables and arrays alone.

Imports estimators.
"""
