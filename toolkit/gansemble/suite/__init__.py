"""Scores of any folders of audio, whoever made them: no experiment and no recipe is needed."""
