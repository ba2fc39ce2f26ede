"""The command line, thin over the Python functions of the same names."""
