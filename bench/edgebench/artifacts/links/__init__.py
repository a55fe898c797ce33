"""The links of a chain: one file a way to make an artifact from the one before."""
