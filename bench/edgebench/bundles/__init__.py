"""Bundles: prepared on a workstation, measured on a board."""
