"""Statistics as pure functions on arrays, with a generator passed in; they know nothing of incidents."""
