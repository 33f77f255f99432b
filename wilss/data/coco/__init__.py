"""COCO: annotations, names, and the two ways in which it is used."""
