"""Runs held against each other and against theory: tables, figures, findings, a page.

Imports config, runs, integrity and kernels.
"""
