"""Benchmarks that print what they measured and fail on a real regression."""
