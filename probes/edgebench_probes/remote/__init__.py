"""A meter on another machine: server, client, their wire and their clocks."""
