"""The command line and what it does.

Which folder may import which: docs/design.md, held by tests/test_structure.py.
"""
