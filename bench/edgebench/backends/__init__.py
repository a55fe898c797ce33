"""Inference runtimes, one file each, all behind `base`."""
