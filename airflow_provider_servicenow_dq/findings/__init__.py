"""Cases for security findings, and their tickets."""
