"""A log that others can check: hashes, tiles, signed notes and proofs, as RFC 9162 and C2SP have them."""
