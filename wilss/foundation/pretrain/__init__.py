"""Training of the small foundation models that ship with the package. No mask is ever read here."""
