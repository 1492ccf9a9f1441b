"""Fitting the weights of evidence and the calibration on closed incidents."""
