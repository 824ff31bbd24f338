"""Exit codes of the command line; a verdict has its own (`Verdict.exit_code`: 0 good, 1 bad, 3 undecided)."""

GOOD = 0
BAD_VERDICT = 1
WRONG_USE = 2
NOT_ENOUGH = 3
FAULT = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
