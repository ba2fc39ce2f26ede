"""Launch recipes for several hosts, and their local form; docs/distributed.md explains them."""
