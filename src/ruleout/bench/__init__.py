"""The public benchmark: corpora of incidents, scores, demos."""
