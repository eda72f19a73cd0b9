"""Fitting a model to the stain of another laboratory, from images that nobody annotated."""
