"""A stand-in for an edgebench that speaks protocol 1 of `ab`, as of November 2026. Frozen: it is never changed."""
