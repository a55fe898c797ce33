"""Statistics of differences: values in, verdicts out; no I/O, no clock, no printing."""
