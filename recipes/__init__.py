"""Recipes: data to model to pretrained entry, one short lab note each."""
