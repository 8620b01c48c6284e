"""`python -m lbapp`: the lbapp command where no script is installed."""

from lbapp.cli.main import main

if __name__ == "__main__":
    main()
