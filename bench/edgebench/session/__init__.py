"""One session: check, idle, prepare, measure, idle, report."""
