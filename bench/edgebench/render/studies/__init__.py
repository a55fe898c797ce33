"""The published studies beside what was measured here."""
