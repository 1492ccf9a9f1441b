"""Rung 4 of the ladder: did the inputs arrive as they were meant?"""
