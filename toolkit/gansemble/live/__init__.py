"""Streams: a trained generator fed block by block, frames in and samples out, equal to the whole signal at once."""
