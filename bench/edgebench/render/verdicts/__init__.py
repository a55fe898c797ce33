"""A comparison's verdict, in one file a format."""
