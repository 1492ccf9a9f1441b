"""Rung 3: do the served answers reproduce, and if not, which simple explanation does?"""
