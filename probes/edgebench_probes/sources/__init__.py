"""Sources of energy and power that this machine has itself."""
