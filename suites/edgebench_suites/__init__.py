"""What is measured: suite files, the model zoo, data sets and training recipes."""
