"""What owners, neighbours and agencies tell each other around the request: alerts, notices, incidents, counts."""
