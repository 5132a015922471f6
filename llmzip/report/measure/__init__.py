"""Measuring a text: what is read, what the codec makes of it, where its bits go."""
