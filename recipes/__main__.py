"""`python -m recipes`, or `vae-zoo` where the wheel is installed: the command line."""

import sys


def start() -> None:
    """Runs the command line, or says what to install for it."""
    try:
        from recipes.cli import main
    except ModuleNotFoundError as error:
        sys.exit(f"{error}. The command line needs: pip install 'vae-zoo[recipes]'")
    main()


if __name__ == "__main__":
    start()
