"""A server of one exported model for people without Docker; no Python TensorFlow."""
