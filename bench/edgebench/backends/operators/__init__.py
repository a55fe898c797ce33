"""Single operators, as each runtime runs them."""
