"""``python -m gansemble``, which launchers start."""

from gansemble.cli import main

if __name__ == "__main__":
    main()
