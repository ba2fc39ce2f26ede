"""What measures the library, and what reproduces the paper's tables and figures."""
