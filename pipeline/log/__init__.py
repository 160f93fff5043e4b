"""What a log that others can check is made of: hashes, tiles, signed notes and proofs, as RFC 9162 and C2SP have them."""
