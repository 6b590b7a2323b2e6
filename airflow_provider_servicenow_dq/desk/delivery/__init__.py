"""Delivering: alone on a ticket, a few tickets at a time, each write at most once."""
