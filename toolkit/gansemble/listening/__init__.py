"""Listening tests of any folders of audio: made as one blinded page, answered in a browser, and evaluated.

``making`` writes a test, ``serving`` shows it to listeners and keeps their answers, ``results`` joins the answers with the
key that stays with the maker. None of it needs a recipe or an experiment.
"""
