"""The tests: of each package in a folder of its own, and of the whole."""
