"""What training and evaluation both score with."""
