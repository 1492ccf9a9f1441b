"""Rung 5: did the world change, and if so where, how, and how much of the metric does each part explain?"""
