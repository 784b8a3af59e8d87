"""Uses trained generators: loading, vocoding, enhancement, and streaming of long signals."""
