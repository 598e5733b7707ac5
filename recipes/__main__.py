"""`python -m recipes`, or `vae-zoo` where the wheel is installed: the command line."""

from recipes.cli import main

if __name__ == "__main__":
    main()
