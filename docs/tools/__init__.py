"""What makes the site of the documentation: generated pages, equations, pictures."""
