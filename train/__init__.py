"""Trains a config, resumes its run, or shows its result."""
