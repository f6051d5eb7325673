"""The compiled part of number8."""

__version__: str

def run(arguments: list[str]) -> int:
    """Does what the command line asks for and returns its exit code; the first argument is the name of the program."""
