"""A history as a static site: boards, variants, releases; from a folder or a web server, with no network."""
