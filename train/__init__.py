"""Trains a config, resumes the run of one, or shows its result."""
