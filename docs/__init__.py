"""Pages of the documentation, and what builds and checks them."""
