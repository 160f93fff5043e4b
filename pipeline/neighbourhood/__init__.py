"""What neighbours, agencies and owners tell each other around the request: alerts, notices, incidents, public counts."""
