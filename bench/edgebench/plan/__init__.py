"""From a suite file to the plan of a session."""
