"""What makes a released case stand without us: keys and signatures, the package and what it says, and its check."""
