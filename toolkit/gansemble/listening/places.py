"""Names of what lies in the folder of a listening test."""

from __future__ import annotations

#: The maker's file in a test's folder.
KEY = "key.json"
#: The folder of what listeners get, and the page in it.
PAGE, INDEX = "page", "index.html"
#: Folder of the sounds beside the page, where they are not within it.
SOUNDS = "sounds"
#: Folder of the answers.
ANSWERS = "answers"
