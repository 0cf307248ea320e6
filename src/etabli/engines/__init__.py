"""Where services run. `contract` is the narrow waist that everything above sees; each engine beside it is one way to keep it."""
