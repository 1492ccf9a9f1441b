"""Rung 2: is the measurement sound? A third of alarms die here."""
