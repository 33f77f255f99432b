"""The documentation: the site that is built of it, and the blocks of code on its pages."""
