"""What a recipe's variants are: codecs and audio language models, built in or brought along, and how each is loaded."""
