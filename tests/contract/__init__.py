"""The contract of every gradient transformation of the library."""
