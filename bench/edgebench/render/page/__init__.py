"""One HTML file that needs nothing else: `document` for its frame, templates, the style and the script beside it."""
