"""A page served on this machine that demonstrates a trained generator: recordings in, latent vectors moved, and what is on record of it."""
