"""Artifacts: the store, the chain that makes them, their families, and bundles of them."""
