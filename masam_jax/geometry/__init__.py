"""The geometry of a loss: how flat it is, and what its surface looks like, encoder by encoder."""
