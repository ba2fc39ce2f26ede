"""Data sets of your own: files, folders and functions that are no published data set."""
