"""``python -m cya``."""

from cya.cli import main

if __name__ == "__main__":
    main()
