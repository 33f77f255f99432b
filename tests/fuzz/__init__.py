"""Inputs of every format, spoilt at random: nothing may end in a traceback, a hang or without memory.

``python -m tests.fuzz --count 1000 --seed 0`` prints what was tried and, as its last line, one JSON object.
"""
