"""What this machine offers: every source with its state, its reason and its fix."""
