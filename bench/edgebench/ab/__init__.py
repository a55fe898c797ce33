"""Two environments in turns on this machine, then the verdict of `compare`."""
