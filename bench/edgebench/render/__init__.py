"""A report as text, Markdown, HTML, CSV or a pyperf suite: one short file a format."""
