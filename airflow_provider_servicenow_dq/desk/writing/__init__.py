"""What is written next for a ticket: decided inside the transaction that claims it."""
