"""Training: the loop over steps, validation and monitors, and checkpoints from which a run resumes exactly.

The loop knows no published method: it calls the recipe's parts through the Protocols of :mod:`gansemble.interfaces`.
"""
