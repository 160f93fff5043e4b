"""Pages over the desk: they read forms, call one operation, and render a template; they decide nothing."""
