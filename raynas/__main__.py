"""`python -m raynas`."""

from raynas.cli import main

if __name__ == "__main__":
    main()
