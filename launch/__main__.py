"""`python -m widesym.launch` is `widesym`, for workers that must run in the very same installation."""

from widesym.launch.cli import main

if __name__ == "__main__":
    main()
