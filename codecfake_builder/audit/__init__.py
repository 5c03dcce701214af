"""Audit of a dataset or of any tree of audio: is what tells the classes apart in the sound of the codecs alone?"""
