"""Recipes: YAML that says which corpora, which splits, which variants."""
