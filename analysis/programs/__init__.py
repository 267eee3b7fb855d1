"""What compiled programs take: operations, memory, devices.

Imports nothing else of analysis.
"""
