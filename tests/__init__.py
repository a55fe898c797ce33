"""Tests; a package, so that the simulators can be imported and started by name."""
