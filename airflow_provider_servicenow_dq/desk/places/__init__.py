"""Which ticket a report goes to."""
