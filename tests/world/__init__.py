"""The world's files: what makes them, what reads them without our code, and the trip they go by the command line."""
