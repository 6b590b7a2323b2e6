"""A ServiceNow to try: strict where a real instance is, on loopback, and independent of its siblings."""
