"""Stored models: a folder of weights and a card, and what a student of one sees."""
