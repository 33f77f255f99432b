"""Making the folder of docs/data.md from what people have: one module a form, and one that builds the folder."""
