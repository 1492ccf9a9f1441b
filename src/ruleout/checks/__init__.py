"""Checks, in folders by rung of the ladder; importing one registers it."""
