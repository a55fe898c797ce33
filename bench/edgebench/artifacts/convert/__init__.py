"""From a torch module to the file that a runtime opens."""
